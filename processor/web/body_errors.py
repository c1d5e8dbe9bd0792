"""What is wrong with a JSON body: msgspec's errors, with what is allowed at that place."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec.inspect import (
    CollectionType,
    DictType,
    EnumType,
    LiteralType,
    Metadata,
    StructType,
    Type,
    UnionType,
    type_info,
)

from processor.provider import did_you_mean

_STEP = re.compile(r"\.(\w+)|\[[^\]]*\]")


def explain(error: msgspec.ValidationError, kind: Any) -> str:
    """The error of a body that is no `kind`; for a wrong word or field, what is allowed instead."""
    what, _, path = str(error).partition(" - at `$")
    path = path.removesuffix("`")
    for pattern, describe in _MESSAGES:
        if found := re.fullmatch(pattern, what, re.DOTALL):
            here = path.removeprefix(".")
            return f"{here}: " * bool(here) + describe(found[1], list(_at(kind, path)))
    return str(error)


def _at(kind: Any, path: str) -> Iterator[Type]:
    """The types of the value at a path such as `.jobs[0].poll` or `.headers[...]`."""
    types = list(_plain(type_info(kind)))
    for step in _STEP.finditer(path):
        types = [inner for outer in types for inner in _inside(outer, step[1])]
    yield from types


def _inside(outer: Type, name: str | None) -> Iterator[Type]:
    """The types of a field, or without a name of an item."""
    if isinstance(outer, StructType):
        for field in outer.fields:
            if field.encode_name == name:
                yield from _plain(field.type)
    elif isinstance(outer, DictType):
        yield from _plain(outer.value_type)
    elif isinstance(outer, CollectionType) and name is None:
        yield from _plain(outer.item_type)


def _plain(found: Type) -> Iterator[Type]:
    """The types of a union; others as they are, without their metadata."""
    if isinstance(found, Metadata):
        yield from _plain(found.type)
    elif isinstance(found, UnionType):
        for one in found.types:
            yield from _plain(one)
    else:
        yield found


def _wrong_word(word: str, types: Iterable[Type]) -> str:
    good = [str(value) for found in types for value in _values(found)]
    return f"{word} is not known; use one of {', '.join(good)}"


def _values(found: Type) -> Iterable[Any]:
    if isinstance(found, EnumType):
        return [member.value for member in found.cls]
    return found.values if isinstance(found, LiteralType) else ()


def _unknown_field(name: str, types: Iterable[Type]) -> str:
    known = [f.encode_name for one in types if isinstance(one, StructType) for f in one.fields]
    if not known:
        return f"there is no field `{name}`; the body is empty, {{}}"
    return f"there is no field `{name}`; it takes {', '.join(known)}{did_you_mean(name, known)}"


_MESSAGES: tuple[tuple[str, Callable[[str, list[Type]], str]], ...] = (
    (r"Invalid enum value (.*)", _wrong_word),
    (r"Object contains unknown field `(.*)`", _unknown_field),
)
