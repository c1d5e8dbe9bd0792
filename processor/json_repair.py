"""Repairs JSON text: replaces its invalid values, and maps positions back to the original."""

import re
from bisect import bisect_right
from typing import Final, NamedTuple

LEVELS = 200  # levels of nesting, more than any pointer or result needs; deeper is not read
REPAIRED_AT_MOST = 262_144  # characters; token by token they take up to 0.25 s
MARK = "-0e-" + "7" * 40  # a number that nobody sends: replaces what is nested too deeply

_TOKEN = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+'  # a string, up to the end of the text if it is not closed
    r"|[\[{]++|[\]}]++"
    r"|:(?=\s*+[,}\]])"  # a missing value
    r"|[^\s\"\[\]{},:]++",
    re.DOTALL,
)
_GOOD = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]{0,307})(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})|\\')
_BACKSLASH = "\udc5c"  # replaces a stray backslash: a lone surrogate, as other bad characters


class Lost:
    """Stands for a value that could not be read."""


LOST: Final = Lost()


class Repaired(NamedTuple):
    """The repaired text, and the start of each piece in it (`here`) and in the original (`there`)."""

    text: str
    here: list[int]
    there: list[int]

    def origin(self, place: int) -> int:
        """The position in the original of a character of the repaired text."""
        piece = bisect_right(self.here, place) - 1
        return self.there[piece] + place - self.here[piece]


def repair(text: str) -> Repaired:
    """Replace invalid words and numbers (by null), invalid escapes, and too deep nesting."""
    pieces, here, there = [], [0], [0]
    copied = length = depth = cut = 0
    for token in _TOKEN.finditer(text):
        start, end, found = token.start(), token.end(), token[0]
        first = found[0]
        new = None
        if first in "[{":
            depth += len(found)
            if depth - len(found) <= LEVELS < depth:
                cut = end - (depth - LEVELS)
        elif first in "]}":
            depth -= len(found)
            if depth + len(found) > LEVELS >= depth:
                start, end, new = cut, end - (LEVELS - depth), MARK
        elif depth <= LEVELS:
            new = _instead(found, first)
        if new is not None:
            pieces += [text[copied:start], new]
            length += start - copied + len(new)
            copied = end
            here.append(length)
            there.append(copied)
    if depth > LEVELS:  # the text ends inside the nesting
        pieces += [text[copied:cut], MARK]
        here.append(length + cut - copied + len(MARK))
        there.append(copied := len(text))
    return Repaired("".join([*pieces, text[copied:]]), here, there)


def _instead(found: str, first: str) -> str | None:
    """The replacement of a token, or None if the token is valid."""
    if first == '"':
        return _ESCAPE.sub(_escape, found) if "\\" in found else None
    if first == ":":
        return ":null"
    return None if _GOOD.fullmatch(found) else "null"


def _escape(match: re.Match[str]) -> str:
    return _BACKSLASH if match[0] == "\\" else match[0]
