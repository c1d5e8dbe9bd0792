"""JSON pointers, header names and the HTTP code: where a value is in a push or a response."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from processor.provider.large_json import open_level, open_part

CODE = ":code"  # the key of the HTTP code among the headers of a response; no header has a colon

_ESCAPE = re.compile(r"~([01])")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_HEADER = re.compile(r"header:([A-Za-z0-9-]+)")

Find = Callable[[Any, Mapping[str, str]], Any]
"""Takes a document and its headers by lower-case name; returns the value, or None if it is absent."""

Location = str | tuple[str, ...]  # a header's name in lower case, or a pointer's steps


class Pointer:
    """One or more locations, compiled once; the first that has a value wins.

    A location is a JSON pointer (RFC 6901: `/data/id`, `/errors/0`, or `` for the document),
    `header:NAME`, or `code`. Null and the empty string count as no value.
    """

    __slots__ = ("find", "in_header", "locations", "text")

    def __init__(self, written: object) -> None:
        """Compile one location or a list of them; raise ValueError with the remedy."""
        texts = as_list(written)
        self.locations = tuple(parse_location(text) for text in texts)
        self.text = " or ".join(f"`{text}`" for text in texts)
        self.in_header = all(isinstance(location, str) for location in self.locations)
        self.find: Find = first_of([_find_at(location) for location in self.locations])


class PointerSum:
    """One or more pointers to whole numbers, which are added up."""

    __slots__ = ("_places",)

    def __init__(self, written: object) -> None:
        """Compile one location or a list of them; raise ValueError with the remedy."""
        self._places = tuple(Pointer(one) for one in as_list(written))

    def find(self, document: Any, headers: Mapping[str, str]) -> Any:
        """Return the sum of the numbers that are there, or None if there are none."""
        found = [place.find(document, headers) for place in self._places]
        numbers = [one for one in found if isinstance(one, int) and not isinstance(one, bool)]
        return sum(numbers) if numbers else None


def first_of(finds: Sequence[Find]) -> Find:
    """Compile several lookups to one: the first that has a value wins."""
    if len(finds) == 1:
        return finds[0]

    def find(document: Any, headers: Mapping[str, str]) -> Any:
        for find_one in finds:
            if (found := find_one(document, headers)) is not None:
                return found
        return None

    return find


def _find_at(location: Location) -> Find:
    if isinstance(location, str):
        return lambda _, headers: headers.get(location) or None

    if len(location) == 1:
        return _find_member(location)

    def find(document: Any, _: Mapping[str, str]) -> Any:
        """`resolve`, faster where only decoded objects are on the way, as there mostly are."""
        value = document
        for step in location:
            if type(value) is not dict:
                value = resolve(location, document)
                break
            value = value.get(step)
            if value is None:
                return None
        else:
            if type(value) is msgspec.Raw:
                value = resolve(location, document)
        return None if value == "" else value

    return find


def _find_member(location: tuple[str, ...]) -> Find:
    """The same for a single step: most pointers lead to a member of the document."""
    (name,) = location

    def find(document: Any, _: Mapping[str, str]) -> Any:
        try:
            value = document.get(name)
        except AttributeError:  # not a decoded object
            value = resolve(location, document)
        if value is None:
            return None
        if type(value) is msgspec.Raw:
            value = resolve(location, document)
        return None if value == "" else value

    return find


def as_list(written: object) -> list[object]:
    """Return the list, or a single value as a list; ValueError if it is empty."""
    texts = written if isinstance(written, list) else [written]
    if not texts:
        raise ValueError('an empty list; name at least one location, such as "/id"')
    return texts


def parse_location(text: object) -> Location:
    """Compile one location; raise ValueError with the remedy."""
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is not a location; write a JSON pointer such as "/data/id"')  # noqa: TRY004 - one error for all that a profile may get wrong
    if text == "code":
        return CODE
    if header := _HEADER.fullmatch(text):
        return header[1].lower()
    if (text and not text.startswith("/")) or _BAD_ESCAPE.search(text):
        raise ValueError(
            f'`{text}` is not a JSON pointer; write "/data/id", "" for the document, '
            '"~0" for ~ and "~1" for /, or "header:NAME"'
        )
    return tuple(_ESCAPE.sub(lambda m: "~/"[int(m[1])], step) for step in text.split("/")[1:])


def resolve(steps: tuple[str, ...], value: Any) -> Any:
    """Follow a JSON pointer; None if it leads nowhere.

    Raw parts of a large document are decoded in place on the way; a large result stays raw.
    """
    if isinstance(value, msgspec.Raw):
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
