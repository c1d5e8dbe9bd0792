"""Finds the server and the key as the command line does."""

import os
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_DATA = ".ringback"


class Server(NamedTuple):
    """Where the server is, and the key for it."""

    url: str
    key: str | None
    local: bool  # on this machine


def find_server(
    url: str | None, key: str | None, environ: Mapping[str, str] = os.environ
) -> Server:
    """The arguments, else RINGBACK_URL and RINGBACK_API_KEY, else what `ringback up` made here.

    The key file of `ringback up` is used only for a server on this machine. ValueError if one of
    them cannot be used.
    """
    named = url or environ.get("RINGBACK_URL") or DEFAULT_URL
    found = (named if "://" in named else f"http://{named}").rstrip("/")
    local = _is_loopback(_host(found))
    given = (key or "").strip() or environ.get("RINGBACK_API_KEY", "").strip()
    given = given or (_key_file(environ) if local else "")
    if not (given.isascii() and given.isprintable()):  # the error must not show it
        raise ValueError("key or RINGBACK_API_KEY: only printable ASCII can be sent as a key")
    return Server(found, given or None, local)


def _host(url: str) -> str:
    """The host of a server's URL; ValueError if it is none."""
    with suppress(ValueError):  # an invalid port or bracket: the error is below
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.port != 0
        if good and parts.hostname and url.isprintable() and " " not in url:
            return parts.hostname
    raise ValueError(f"{url!r} is not a server's URL; write it like {DEFAULT_URL}")


def _key_file(environ: Mapping[str, str]) -> str:
    try:
        text = Path(environ.get("RINGBACK_DATA") or DEFAULT_DATA, "key").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return text.strip()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        name = host.rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
