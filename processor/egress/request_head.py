"""Writes the head of a request; a name or value that could add a line (header injection) is refused. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address

from processor.egress.ports import DEFAULT
from processor.egress.urls import ParsedUrl
from processor.errors import RequestFailed

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
# The client alone decides where a request ends, and what becomes of the connection.
_OURS = frozenset(
    {"connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"}
)


def request_target(url: ParsedUrl) -> str:
    """What follows the method in the head of every request to a URL: path, version and host.

    The port is left out of the `host` header where it is the scheme's own.
    """
    host = f"[{url.host}]" if isinstance(url.host, IPv6Address) else url.host
    port = "" if url.port == DEFAULT[url.scheme] else f":{url.port}"
    return f"{url.tail} HTTP/1.1\r\nhost: {host}{port}\r\n"


def request_head(
    method: str,
    target: str,
    headers: Mapping[str, str],
    defaults: tuple[tuple[str, str], ...],
    body: bytes | None,
) -> bytes:
    """The head of a request for a `request_target`; it has the `defaults` unless given others.

    Raises RequestFailed for a bad header, without its value, which may be a secret.
    """
    values = tuple(headers.values())
    if _CONTROL.search("".join(values)):
        name = next(name for name, value in headers.items() if _CONTROL.search(value))
        raise RequestFailed(f"the header {name!r} has a line break or another control character")
    lines = _template(tuple(headers), defaults) % values
    length = "" if body is None else f"content-length: {len(body)}\r\n"
    return f"{method} {target}{lines}{length}\r\n".encode()


@lru_cache(1024)
def _template(names: tuple[str, ...], defaults: tuple[tuple[str, str], ...]) -> str:
    """The lines of these headers, with a %s for each value: callers send the same few sets."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise RequestFailed(f"{name!r} is not a header name")
        if name.lower() in _OURS:
            raise RequestFailed(f"the header {name!r} is set by the client alone")
    given = {name.lower() for name in names}
    more = "".join(f"{name}: {value}\r\n" for name, value in defaults if name not in given)
    return (
        (more + "".join(f"{name}: \0\r\n" for name in names)).replace("%", "%%").replace("\0", "%s")
    )
