"""Reads the malformed head of an HTTP response from its bytes, as far as possible. Pure.

A subscriber that answers 200 has the event, even if the rest of its response is malformed:
otherwise the event would be sent again and again. A provider that answers 429 wants a pause, however
it writes that. What follows such a head is not read: nothing tells reliably where it ends.
"""

import re
from collections.abc import Iterator

import msgspec

_STATUS = re.compile(
    rb"HTTP/[0-9](?:\.[0-9])?[ \t]+([1-9][0-9]{2})(?![0-9])[^\n]*\n", re.IGNORECASE
)
_BEGIN = b"HTTP/"
_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)")
_FOLD = re.compile(r"\r?\n[ \t]+")
_SWITCHING = 101


class RawResponse(msgspec.Struct, frozen=True):
    """Status, headers by lower-case name, and the body as far as it came.

    `cut`: why it is not whole, if it is not.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    cut: Exception | None = None


def salvage(received: bytes, cut: Exception | None = None) -> RawResponse | None:
    """Parse a head, skipping 1xx ones; None if there is not even a complete status line."""
    left = _final(received)
    line = _STATUS.match(left)
    if line is None or (100 <= int(line[1]) < 200 and int(line[1]) != _SWITCHING):  # noqa: PLR2004 - HTTP's own line
        return None
    end = _END.search(left, line.end() - 1)
    return RawResponse(int(line[1]), _headers(left[line.end() : end and end.start()]), b"", cut)


def may_go_on(received: bytes) -> bool:
    """Whether more bytes can be a part of the same head."""
    left = _final(received)
    ended = b"\n\n" in left or b"\n\r\n" in left  # much faster than a regular expression
    return _BEGIN.startswith(left[: len(_BEGIN)].upper()) and not ended


def _final(received: bytes) -> bytes:
    """What follows the complete 1xx heads."""
    left = received.lstrip(b"\r\n")
    while (
        (line := _STATUS.match(left))
        and line[1].startswith(b"1")
        and int(line[1]) != _SWITCHING
        and (end := _END.search(left, line.end() - 1))
    ):
        left = left[end.end() :]
    return left


def _headers(raw: bytes) -> dict[str, str]:
    """The lines that are valid headers; a folded header counts as one line."""
    lines = _FOLD.sub(" ", raw.decode("utf-8", "replace")).splitlines()
    fields = filter(None, map(_FIELD.fullmatch, lines))
    return {field[1].lower(): "".join(_printable(field[2])).strip() for field in fields}


def _printable(text: str) -> Iterator[str]:
    return (letter for letter in text if letter.isprintable() or letter == "\t")
