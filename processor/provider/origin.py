"""The origin (scheme, host, port) that a job's URLs must have, so that tokens stay with it."""

import re
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import urljoin

import idna

_DEFAULT = {"http": 80, "https": 443}
_ABSOLUTE = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[^\s/?#\\@:\[\]]+)(?::([0-9]{0,5}))?(?=[/?#]|\Z)", re.IGNORECASE
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_NOWHERE = "http://nowhere"  # a placeholder origin for joining paths, removed afterwards


class Origin(NamedTuple):
    """Scheme, host and port, normalized: lower case, ASCII, without a trailing dot."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Format it as browsers do: without the default port."""
        port = "" if self.port == _DEFAULT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def absolute_url(base_url: str, url: str) -> str:
    """Return a job's URL as absolute; raise ValueError unless its origin is that of `base_url`.

    A relative URL is resolved below `base_url`. We write the host ourselves, so that two parsers
    cannot read different hosts from the URL.
    """
    base, text = _split(base_url), url.strip(" \t").partition("#")[0]
    if base is not None and text:
        origin, path = base
        if not text.startswith("//") and not _SCHEME.match(text):
            folder = f"{_NOWHERE}{path.partition('?')[0].rstrip('/')}/"
            whole = text if text.startswith("/") else urljoin(folder, text)
            return _as_written(base_url) + _rooted(whole.removeprefix(_NOWHERE))
        found = _split(f"{origin.scheme}:{text}" if text.startswith("//") else text)
        if found is not None and found[0] == origin:
            return f"{origin}{_rooted(found[1])}"
    raise ValueError(
        f"its URL is not at {base[0] if base else 'any configured origin'}; "
        "set `base_url` of the source to the origin of the URLs in the provider's responses"
    )


def _as_written(base_url: str) -> str:
    match = _ABSOLUTE.match(base_url)
    return match[0] if match else ""


def _rooted(tail: str) -> str:
    return tail if tail.startswith("/") else f"/{tail}"


def _split(url: str) -> tuple[Origin, str] | None:
    """Split into origin and rest; None unless the URL can be parsed in only one way."""
    match = _ABSOLUTE.match(url)
    host = _host(match[2]) if match else None
    if match is None or host is None:
        return None
    scheme = match[1].lower()
    return Origin(scheme, host, int(match[3] or _DEFAULT[scheme])), url[match.end() :]


def _host(text: str) -> str | None:
    try:
        if text.startswith("["):
            return f"[{IPv6Address(text[1:-1])}]"
        name = text if text.isascii() else idna.encode(text, uts46=True).decode()
    except ValueError:  # idna's, too
        return None
    name = name.lower().removesuffix(".")
    return name if _HOST.fullmatch(name) else None
