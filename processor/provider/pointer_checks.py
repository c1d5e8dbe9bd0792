"""Lists the JSON pointers of a profile's tables, and finds those that could never match."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# Keys that hold a pointer or a list of them; keys with pointers inside; keys with a condition.
POINTER_KEYS = frozenset(
    {
        "id",
        "status",
        "aliases",
        "attempt",
        "result",
        "time",
        "event_id",
        "each",
        "root",
        "reopens",
    }
)
NESTED_POINTERS = {
    "progress": ("at", "of"),
    "error": ("code", "message"),
    "counts": ("total", "succeeded", "failed"),
    "eta": ("at",),
    "hint": ("at",),
    "echo": ("at",),
    "list": ("each",),
}
CONDITION_KEYS = frozenset({"about", "throttled"})
REGISTER_KEYS = frozenset({"items", "url", "id", "secret"})  # the pointers of [register]

_WORDS = frozenset(
    {"id", "status", "event_id", "reopens"}
)  # the value of these keys is a scalar, never a whole document


class NamedPointer(NamedTuple):
    """A pointer, the key that holds it, and whether it is inside a condition."""

    key: str  # `id`, `error.code`
    pointer: str
    in_condition: bool = False


def pointers_of(table: Mapping[str, Any]) -> Iterator[NamedPointer]:
    """Every pointer of a valid [push], [poll] or [submit] table."""
    for key, value in table.items():
        if key in POINTER_KEYS:
            yield from _listed(key, value)
        elif key in CONDITION_KEYS:
            yield from (NamedPointer(key, pointer, in_condition=True) for pointer in value)
        elif key == "params" or key in NESTED_POINTERS:
            inside = NESTED_POINTERS.get(key, value)
            yield from (one for name in inside for one in _listed(f"{key}.{name}", value.get(name)))


def pointers_of_register(table: Mapping[str, Any]) -> Iterator[NamedPointer]:
    """Every pointer of a valid [register] table."""
    return (one for key in table if key in REGISTER_KEYS for one in _listed(key, table[key]))


def problem(named: NamedPointer, *, answered: bool) -> str | None:
    """What is wrong with a pointer, and the remedy; `answered`: whether it reads an HTTP response."""
    key, pointer, in_condition = named
    if pointer == "code" and not answered:
        return f"{key}: only a poll response has a `code`; write a JSON pointer or header:NAME"
    if "*" in pointer.split("/") and pointer.startswith("/") and not in_condition:
        return (
            f"{key}: `{pointer}`: `*` is allowed in conditions only; name one element, such as "
            f"`{pointer.replace('*', '0')}`"
        )
    if not pointer and key in _WORDS and not in_condition:
        return f'{key}: "" is the whole document; name a value in it, such as "/{key}"'
    return None


def _listed(key: str, value: object) -> Iterator[NamedPointer]:
    """A pointer, a list of pointers, or the pointers in the conditions of status rules."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield from (NamedPointer(key, pointer, in_condition=True) for pointer in one["if"])
        elif isinstance(one, str):
            yield NamedPointer(key, one)
