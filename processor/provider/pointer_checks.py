"""Every place that a table of a profile names, as written; and which of them could never hold."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# Keys that hold a place or a list of them, keys with places inside, keys that hold a condition.
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
    "hint": ("at",),
    "echo": ("at",),
}
CONDITION_KEYS = frozenset({"about", "throttled"})
REGISTER_KEYS = frozenset({"items", "url", "id", "secret"})  # the places of [register]

_WORDS = frozenset(
    {"id", "status", "event_id", "reopens"}
)  # each is one value, never a whole document


class NamedPointer(NamedTuple):
    """A place, the key that names it, and whether it stands in a condition."""

    key: str  # `id`, `error.code`
    place: str
    in_condition: bool = False


def pointers_of(table: Mapping[str, Any]) -> Iterator[NamedPointer]:
    """Every place of a [push], [poll] or [submit] that parses."""
    for key, value in table.items():
        if key in POINTER_KEYS:
            yield from _listed(key, value)
        elif key in CONDITION_KEYS:
            yield from (NamedPointer(key, place, in_condition=True) for place in value)
        elif key == "params" or key in NESTED_POINTERS:
            inside = NESTED_POINTERS.get(key, value)
            yield from (one for name in inside for one in _listed(f"{key}.{name}", value.get(name)))


def pointers_of_register(table: Mapping[str, Any]) -> Iterator[NamedPointer]:
    """Every place of a [register] that parses."""
    return (one for key in table if key in REGISTER_KEYS for one in _listed(key, table[key]))


def problem(named: NamedPointer, *, answered: bool) -> str | None:
    """What is wrong with a place, and the remedy; `answered`: whether an HTTP answer is read."""
    key, place, in_condition = named
    if place == "code" and not answered:
        return f"{key}: `code` is known of an answer to a poll only; name a pointer or header:NAME"
    if "*" in place.split("/") and place.startswith("/") and not in_condition:
        return (
            f"{key}: `{place}`: `*` means something in a condition only; name one element, such as "
            f"`{place.replace('*', '0')}`"
        )
    if not place and key in _WORDS and not in_condition:
        return f'{key}: "" is the whole document; name the value in it, such as "/{key}"'
    return None


def _listed(key: str, value: object) -> Iterator[NamedPointer]:
    """A place, several of them, or rules of a status, whose conditions name some."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield from (NamedPointer(key, place, in_condition=True) for place in one["if"])
        elif isinstance(one, str):
            yield NamedPointer(key, one)
