"""A document in the making: values put where a profile's places will look for them."""

from collections.abc import Iterable
from itertools import cycle
from typing import Any

from processor.provider.condition import ANY, Condition
from processor.provider.pointer import CODE, Location, Pointer


class _Occupied(Exception):
    """Something else lies there already."""


class DocumentBuilder:
    """A JSON object, and the headers beside it. What was put first stays.

    Under `:code` the headers hold the HTTP code, as they do for whoever reads them.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.document: dict[str, Any] = {}
        self.headers: dict[str, str] = {}

    def put(self, place: Pointer | None, value: object) -> bool:
        """Put a value at the first spot that can hold it; say whether one could."""
        if place is None or value is None:
            return False
        return any(self._put(location, (value,)) for location in place.locations)

    def require(self, condition: Condition, pick: int = 0, near: Iterable[str] = ()) -> None:
        """Put the words that a condition asks for: where there is a choice, one like `near`.

        `pick` is how many to pass over. With `*` there is an element for each word, which
        only such a condition holds for.
        """
        for location, wanted in condition.rules:
            if isinstance(wanted, tuple):
                every = isinstance(location, tuple) and ANY in location
                words = wanted if every else (_choice(wanted[pick:] or wanted, near),)
                self._put(location, tuple(map(scalar, words)))

    def fill(self, condition: Condition) -> None:
        """Put something wherever a condition asks for anything and nothing is yet."""
        for location, wanted in condition.rules:
            if wanted is True:
                self._put(location, (True,))

    def _put(self, location: Location, values: tuple[object, ...]) -> bool:
        if isinstance(location, str):
            return self._put_header(location, values[0])
        if not location:
            return False  # the whole document is more than one value
        try:
            _lay(self.document, location, values)
        except _Occupied:
            return False
        return True

    def _put_header(self, name: str, value: object) -> bool:
        if isinstance(value, dict | list) or (name == CODE and not _is_code(value)):
            return False
        text = "true" if value is True else str(value)
        return self.headers.setdefault(name, text) == text


def scalar(word: str) -> str | int:
    """Write a word as the number that it is; numbers that start with 0 stay text."""
    return int(word) if word.isdecimal() and str(int(word)) == word else word


def spots(place: Pointer) -> tuple[Location, ...]:
    """Where a place looks, in order."""
    return place.locations


def inside(place: Pointer, value: Any, *, in_list: bool = False) -> Any:
    """Put a value into an object, where a place first looks; `in_list`: into an array there."""
    if not place.locations[0]:
        return value
    outer = DocumentBuilder()
    outer.put(place, [value] if in_list else value)
    return outer.document


def _choice(words: tuple[str, ...], near: Iterable[str]) -> str:
    """`video.asset.ready` for `ready`; the first where none is like what is told."""
    alike = (word for hint in near for word in words if hint in word)
    return next(alike, words[0])


def _lay(node: Any, steps: tuple[str, ...], values: tuple[object, ...]) -> Any:
    """Put the value under those steps, and give what the node has become."""
    if not steps:
        if node is not None and node != values[0]:
            raise _Occupied
        return values[0]
    step, rest = steps[0], steps[1:]
    if step == ANY:
        return _lay_each(node, rest, values)
    if node is None:
        node = [] if step.isdecimal() else {}
    if isinstance(node, list) and step.isdecimal():
        index = int(step)
        laid = _lay(node[index] if index < len(node) else None, rest, values)
        node.extend([None] * (index + 1 - len(node)))
        node[index] = laid
    elif isinstance(node, dict):
        node[step] = _lay(node.get(step), rest, values)
    else:
        raise _Occupied
    return node


def _lay_each(node: Any, rest: tuple[str, ...], values: tuple[object, ...]) -> list[Any]:
    """The same for every element there is, else for one element to each value."""
    if node is not None and not isinstance(node, list):
        raise _Occupied
    elements = node or [None] * len(values)
    return [_lay(old, rest, (new,)) for old, new in zip(elements, cycle(values), strict=False)]


def _is_code(value: object) -> bool:
    return isinstance(value, int) and 100 <= value <= 599  # noqa: PLR2004 - HTTP's
