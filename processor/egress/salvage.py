"""Reads a malformed HTTP response from its bytes, as far as possible. Pure.

A subscriber that answers 200 has the event, even if the rest of its response is malformed:
otherwise the event would be sent again and again. A provider's response is read as far as it came.
"""

import re
from collections.abc import Iterator

import msgspec

_STATUS = re.compile(
    rb"HTTP/[0-9](?:\.[0-9])?[ \t]+([1-9][0-9]{2})(?![0-9])[^\n]*\n", re.IGNORECASE
)
_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)")
_FOLD = re.compile(r"\r?\n[ \t]+")
_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")
_SWITCHING = 101


class RawResponse(msgspec.Struct, frozen=True):
    """Status, headers by lower-case name, and the body as far as it came.

    `cut`: it has no length, and TLS did not say that it was complete when the connection ended.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool = False


def salvage(received: bytes) -> RawResponse | None:
    """Parse a response, skipping 1xx ones; None if there is not even a complete status line."""
    left = received.lstrip(b"\r\n")
    while line := _STATUS.match(left):
        status = int(line[1])
        end = _END.search(left, line.end() - 1)
        if 100 <= status < 200 and status != _SWITCHING and end:  # noqa: PLR2004 - HTTP's own line
            left = left[end.end() :]
            continue
        if 100 <= status < 200:  # noqa: PLR2004 - see above
            return None
        headers = _headers(left[line.end() : end.start() if end else None])
        body = left[end.end() :] if end else b""
        chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        return RawResponse(status, headers, _dechunked(body) if chunked else body)
    return None


def _headers(raw: bytes) -> dict[str, str]:
    """The lines that are valid headers; a folded header counts as one line."""
    lines = _FOLD.sub(" ", raw.decode("utf-8", "replace")).splitlines()
    fields = filter(None, map(_FIELD.fullmatch, lines))
    return {field[1].lower(): "".join(_printable(field[2])).strip() for field in fields}


def _printable(text: str) -> Iterator[str]:
    return (letter for letter in text if letter.isprintable() or letter == "\t")


def _dechunked(raw: bytes) -> bytes:
    """The chunks before the first bad one; the whole body if there is no valid chunk."""
    body, place = [], 0
    while size := _SIZE.match(raw, place):
        begin, end = size.end(), size.end() + int(size[1], 16)
        body.append(raw[begin:end])
        if end == begin or end >= len(raw):
            break
        place = end + (2 if raw[end : end + 2] == b"\r\n" else 1)
    return b"".join(body) if body else raw
