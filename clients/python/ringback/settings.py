"""Finds the server and the key as the command line does."""

import os
from collections.abc import Mapping
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

    The key file of `ringback up` is used only for a server on this machine.
    """
    found = (url or environ.get("RINGBACK_URL") or DEFAULT_URL).rstrip("/")
    parts = urlsplit(found)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{found!r} is not a server's URL; write it like {DEFAULT_URL}")
    local = _is_loopback(parts.hostname)
    given = key or environ.get("RINGBACK_API_KEY", "").strip()
    return Server(found, given or (_key_file(environ) if local else None), local)


def _key_file(environ: Mapping[str, str]) -> str | None:
    try:
        text = Path(environ.get("RINGBACK_DATA") or DEFAULT_DATA, "key").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return text.strip() or None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        name = host.rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
