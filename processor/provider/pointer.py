"""Where a value lies in a push or an answer: JSON pointers, header names, the HTTP code."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from processor.provider.large_json import open_level, open_part

CODE = ":code"  # under this name the headers of an answer hold its HTTP code; none has a colon

_ESCAPE = re.compile(r"~([01])")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_HEADER = re.compile(r"header:([A-Za-z0-9-]+)")

Location = str | tuple[str, ...]  # a header's name in lower case, or a pointer's steps


class Pointer:
    """One or more spots, compiled once; the first that holds something wins.

    A spot is a JSON pointer (RFC 6901: `/data/id`, `/errors/0`, or `` for the whole),
    `header:NAME`, or `code`. Null and the empty text count as nothing.
    """

    __slots__ = ("in_header", "locations", "text")

    def __init__(self, written: object) -> None:
        """Compile one spot or a list of them; raise ValueError with the remedy."""
        texts = as_list(written)
        self.locations = tuple(parse_location(text) for text in texts)
        self.text = " or ".join(f"`{text}`" for text in texts)
        self.in_header = all(isinstance(location, str) for location in self.locations)

    def find(self, document: Any, headers: Mapping[str, str]) -> Any:
        """Return what lies there, or None. Header names are in lower case."""
        for where in self.locations:
            found = headers.get(where) if isinstance(where, str) else resolve(where, document)
            if found is not None and found != "":
                return found
        return None


class PointerSum:
    """One or more spots that hold numbers, which are added up; None where there is none."""

    __slots__ = ("_places",)

    def __init__(self, written: object) -> None:
        """Compile one spot or a list of them; raise ValueError with the remedy."""
        self._places = tuple(Pointer(one) for one in as_list(written))

    def find(self, document: Any, headers: Mapping[str, str]) -> Any:
        """Return the number that lies there, or the sum of those that do; else None."""
        found = [place.find(document, headers) for place in self._places]
        numbers = [one for one in found if isinstance(one, int) and not isinstance(one, bool)]
        return sum(numbers) if numbers else None


def as_list(written: object) -> list[object]:
    """Give the list that is written, or the one thing as a list."""
    texts = written if isinstance(written, list) else [written]
    if not texts:
        raise ValueError('an empty list; name at least one place, such as "/id"')
    return texts


def parse_location(text: object) -> Location:
    """Compile one spot; raise ValueError with the remedy."""
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is no place; write a JSON pointer such as "/data/id"')  # noqa: TRY004 - one error for all that a profile may get wrong
    if text == "code":
        return CODE
    if header := _HEADER.fullmatch(text):
        return header[1].lower()
    if (text and not text.startswith("/")) or _BAD_ESCAPE.search(text):
        raise ValueError(
            f'`{text}` is no JSON pointer; write "/data/id", "" for the whole, '
            '"~0" for ~ and "~1" for /, or "header:NAME"'
        )
    return tuple(_ESCAPE.sub(lambda m: "~/"[int(m[1])], step) for step in text.split("/")[1:])


def resolve(steps: tuple[str, ...], value: Any) -> Any:
    """Follow a pointer; None where it leads nowhere.

    Parts of a large document are opened on the way, and stay so; a large end of it stays raw.
    """
    value = open_level(value) if steps else open_part(value)
    for place, step in enumerate(steps, 1):
        key: Any = step
        if isinstance(value, dict):
            inner = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            key = int(step)
            inner = value[key]
        else:
            return None
        if isinstance(inner, msgspec.Raw):
            inner = value[key] = open_part(inner) if place == len(steps) else open_level(inner)
        value = inner
    return value
