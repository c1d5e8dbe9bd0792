"""Validates URLs; no message shows a user name or password in one."""

import re
from urllib.parse import urlsplit

from processor import provider
from processor.config.place import At
from processor.config.secrets import MASK
from processor.errors import ConfigError

BASE_URL = re.compile(r"https?://[^/?#\s]+(?:/[^?#\s]*)?")
USER = re.compile(r"(?s)//.*@")  # also with a / that was not encoded


def url_of(where: At, url: str | None) -> str | None:
    """A URL, unchanged."""
    if url is not None and not re.fullmatch(r"https?://[^/?#\s\x00-\x1f]+[^\s\x00-\x1f]*", url):
        raise ConfigError(
            f"{where}: {_masked(url)!r} is not a URL; write https://HOST/PATH without blanks"
        )
    return url


def base_url(where: At, url: str) -> str:
    """The URL of a server, unchanged: it has a host, and perhaps a path."""
    if not BASE_URL.fullmatch(url) or not _has_host(url):
        raise ConfigError(
            f"{where}: {_masked(url)!r} is not a base URL; write it like https://hooks.example.com"
        )
    return url


def status_url(where: At, url: str | None) -> str | None:
    """A URL with `{id}` in it, unchanged."""
    try:
        return url and provider.UrlTemplate(url).text
    except ValueError as error:
        raise ConfigError(f"{where}: {_masked(str(error))}") from None


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _masked(text: str) -> str:
    """The text for a message: what may be the user name and password of a URL is masked."""
    return USER.sub(f"//{MASK}@", text)
