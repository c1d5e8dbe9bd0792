"""Where a value lies in a push or an answer: JSON pointers and header names."""

import re
from collections.abc import Mapping
from typing import Any

_ESCAPE = re.compile(r"~([01])")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_HEADER = re.compile(r"header:([A-Za-z0-9-]+)")


class Place:
    """One or more spots, compiled once; the first that holds something wins.

    A spot is a JSON pointer (RFC 6901: `/data/id`, `/errors/0`, or `` for the whole), or
    `header:NAME`. Null and the empty text count as nothing.
    """

    __slots__ = ("_spots", "in_header", "text")

    def __init__(self, spots: object) -> None:
        """Compile one spot or a list of them; raise ValueError with the remedy."""
        texts = spots if isinstance(spots, list) else [spots]
        if not texts:
            raise ValueError('an empty list; name at least one place, such as "/id"')
        self._spots = tuple(_compile(text) for text in texts)
        self.text = " or ".join(f"`{text}`" for text in texts)
        self.in_header = all(isinstance(spot, str) for spot in self._spots)

    def find(self, document: Any, headers: Mapping[str, str]) -> Any:
        """Return what lies there, or None. Header names are in lower case."""
        for spot in self._spots:
            found = headers.get(spot) if isinstance(spot, str) else _walk(spot, document)
            if found is not None and found != "":
                return found
        return None


def _compile(text: object) -> str | tuple[str, ...]:
    """A header's name as text, a pointer as its steps."""
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is no place; write a JSON pointer such as "/data/id"')  # noqa: TRY004 - one error for all that a profile may get wrong
    if header := _HEADER.fullmatch(text):
        return header[1].lower()
    if (text and not text.startswith("/")) or _BAD_ESCAPE.search(text):
        raise ValueError(
            f'`{text}` is no JSON pointer; write "/data/id", "" for the whole, '
            '"~0" for ~ and "~1" for /, or "header:NAME"'
        )
    return tuple(_ESCAPE.sub(lambda m: "~/"[int(m[1])], step) for step in text.split("/")[1:])


def _walk(steps: tuple[str, ...], value: Any) -> Any:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
