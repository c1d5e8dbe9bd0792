"""Builds a JSON document with values where a profile's pointers will find them."""

from collections.abc import Iterable
from itertools import cycle
from typing import Any

from processor.provider.condition import ANY, Condition
from processor.provider.pointer import CODE, Location, Pointer


class _Occupied(Exception):
    """The location already holds another value."""


class DocumentBuilder:
    """A JSON object and headers. A value that was put first is not replaced.

    The header `:code` is the HTTP code, as in `provider.pointer`.
    """

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.headers: dict[str, str] = {}

    def put(self, pointer: Pointer | None, value: object) -> bool:
        """Put a value at the first location that can hold it; return whether there was one."""
        if pointer is None or value is None:
            return False
        return any(self._put(location, (value,)) for location in pointer.locations)

    def require(self, condition: Condition, choice: int = 0, similar: Iterable[str] = ()) -> None:
        """Put the words that a condition requires; of several, one that resembles `similar`.

        `choice` is how many words to skip. With `*` an element is added for each word, so that
        only this condition holds.
        """
        for location, wanted in condition.rules:
            if isinstance(wanted, tuple):
                every = isinstance(location, tuple) and ANY in location
                words = wanted if every else (_choice(wanted[choice:] or wanted, similar),)
                self._put(location, tuple(map(scalar, words)))

    def fill(self, condition: Condition) -> None:
        """Put a value wherever a condition requires any value and there is none yet."""
        for location, wanted in condition.rules:
            if wanted is True:
                self._put(location, (True,))

    def _put(self, location: Location, values: tuple[object, ...]) -> bool:
        if isinstance(location, str):
            return self._put_header(location, values[0])
        if not location:
            return False  # the whole document is more than one value
        try:
            _insert(self.document, location, values)
        except _Occupied:
            return False
        return True

    def _put_header(self, name: str, value: object) -> bool:
        if isinstance(value, dict | list) or (name == CODE and not _is_code(value)):
            return False
        text = "true" if value is True else str(value)
        return self.headers.setdefault(name, text) == text


def scalar(word: str) -> str | int:
    """Convert a numeric word to a number; a word with leading zeros stays text."""
    return int(word) if word.isdecimal() and str(int(word)) == word else word


def wrap_at(pointer: Pointer, value: Any, *, in_list: bool = False) -> Any:
    """Wrap a value in an object, at the pointer's first location; `in_list`: in an array there."""
    if not pointer.locations[0]:
        return value
    outer = DocumentBuilder()
    outer.put(pointer, [value] if in_list else value)
    return outer.document


def _choice(words: tuple[str, ...], similar: Iterable[str]) -> str:
    """The word that contains a similar one, such as `video.asset.ready` for `ready`; else the first."""
    alike = (word for hint in similar for word in words if hint in word)
    return next(alike, words[0])


def _insert(node: Any, steps: tuple[str, ...], values: tuple[object, ...]) -> Any:
    """Insert the value under these steps, and return the changed node."""
    if not steps:
        if node is not None and node != values[0]:
            raise _Occupied
        return values[0]
    step, rest = steps[0], steps[1:]
    if step == ANY:
        return _insert_each(node, rest, values)
    if node is None:
        node = [] if step.isdecimal() else {}
    if isinstance(node, list) and step.isdecimal():
        index = int(step)
        laid = _insert(node[index] if index < len(node) else None, rest, values)
        node.extend([None] * (index + 1 - len(node)))
        node[index] = laid
    elif isinstance(node, dict):
        node[step] = _insert(node.get(step), rest, values)
    else:
        raise _Occupied
    return node


def _insert_each(node: Any, rest: tuple[str, ...], values: tuple[object, ...]) -> list[Any]:
    """Insert into every existing element, else create one element per value."""
    if node is not None and not isinstance(node, list):
        raise _Occupied
    elements = node or [None] * len(values)
    return [_insert(old, rest, (new,)) for old, new in zip(elements, cycle(values), strict=False)]


def _is_code(value: object) -> bool:
    return isinstance(value, int) and 100 <= value <= 599  # noqa: PLR2004 - HTTP's
