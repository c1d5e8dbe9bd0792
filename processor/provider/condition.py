"""Conditions on a document: which values select an update, or decide its status."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from processor.provider.large_json import open_level
from processor.provider.pointer import (
    Find,
    Location,
    Pointer,
    as_list,
    first_of,
    parse_location,
    resolve,
)

ANY = "*"  # the step of a JSON pointer that matches every element

_WORD = (str, int)  # what the words of a profile are compared with
_SHAPE = 'write it as { "/type" = ["job.done", "job.failed"], "/error" = false }'


class Mismatch(NamedTuple):
    """A location of a condition, and the value there that is not the required one."""

    at: str
    value: Any
    wanted: bool | tuple[str, ...]

    @property
    def reason(self) -> str:
        """`empty`, `not_listed`, or `not_empty`."""
        if self.wanted is False:
            return "not_empty"
        return "not_listed" if self.value is not None and self.wanted is not True else "empty"


class Condition:
    """Locations and their required values: some words, any value (true), or no value (false).

    All must match. "No value" is null, false, 0 or empty. With `*` in a pointer there must be at
    least one element, and every element must match.
    """

    __slots__ = ("_rules",)

    def __init__(self, table: object = None) -> None:
        """Compile the table of a profile; without a table it always holds. ValueError with remedy."""
        rules = {} if table is None else table
        if not isinstance(rules, dict):
            raise ValueError(_SHAPE)  # noqa: TRY004 - one error for all that a profile may get wrong
        self._rules = tuple(
            (parse_location(location), _wanted(value)) for location, value in rules.items()
        )

    def holds(self, document: Any, headers: Mapping[str, str]) -> bool:
        """Whether every location has its required value."""
        for location, wanted in self._rules:
            if isinstance(location, tuple) and ANY in location:
                found = list(_each(location, document))
                if not found or not all(_is(value, wanted) for value in found):
                    return False
            elif not _is(_at(location, document, headers), wanted):
                return False
        return True

    def mismatch(self, document: Any, headers: Mapping[str, str]) -> "Mismatch | None":
        """The first location without its required value; None if there is none."""
        for location, wanted in self._rules:
            if isinstance(location, tuple) and ANY in location:
                found = list(_each(location, document)) or [None]
            else:
                found = [_at(location, document, headers)]
            for value in found:
                if not _is(value, wanted):
                    return Mismatch(_text_of(location), value, wanted)
        return None

    @property
    def words(self) -> tuple[str, ...]:
        """All required words, for display."""
        return tuple(w for _, wanted in self._rules if not isinstance(wanted, bool) for w in wanted)

    @property
    def rules(self) -> tuple[tuple[Location, bool | tuple[str, ...]], ...]:
        """Each location with its required value."""
        return self._rules


class StatusField:
    """The `status` key: pointers to the provider's status word, or conditions that imply a word."""

    __slots__ = ("find", "is_http_code", "options", "rules", "text", "uses_http_code")

    def __init__(self, options: object) -> None:
        """Compile pointers and `{ is = "WORD", if = {…} }` rules; ValueError with the remedy."""
        texts = as_list(options)
        self.options = tuple(
            _rule(option) if isinstance(option, dict) else Pointer(option) for option in texts
        )
        self.rules = tuple(option for option in self.options if isinstance(option, tuple))
        self.text = " or ".join(
            f"`{option['is']}` by its conditions" if isinstance(option, dict) else f"`{option}`"
            for option in texts
        )
        self.uses_http_code = "code" in texts
        self.is_http_code = texts == ["code"]
        self.find: Find = first_of(
            [_word_of(*o) if isinstance(o, tuple) else o.find for o in self.options]
        )


def _word_of(word: str, condition: Condition) -> Find:
    return lambda document, headers: word if condition.holds(document, headers) else None


def _rule(table: dict[str, object]) -> tuple[str, Condition]:
    word, condition = table.get("is"), table.get("if")
    if set(table) != {"is", "if"} or not isinstance(word, str) or not word:
        raise ValueError('write a rule as { is = "done", if = { "/finished" = true } }')
    return word, Condition(condition)


def _wanted(value: object) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    words = as_list(value)
    if not all(isinstance(word, str | int) and not isinstance(word, bool) for word in words):
        raise ValueError(_SHAPE)
    return tuple(map(str, words))


def _is(value: object, wanted: bool | tuple[str, ...]) -> bool:  # noqa: FBT001 - what the profile says
    if isinstance(wanted, bool):
        return bool(value) is wanted
    return isinstance(value, _WORD) and not isinstance(value, bool) and str(value) in wanted


def _text_of(location: Location) -> str:
    """A location as a profile writes it."""
    if isinstance(location, str):
        return f"header:{location}"
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in location)


def _at(location: Location, document: Any, headers: Mapping[str, str]) -> Any:
    return headers.get(location) if isinstance(location, str) else resolve(location, document)


def _each(steps: tuple[str, ...], value: Any) -> Iterator[Any]:
    """Every value that a pointer with `*` matches."""
    if ANY not in steps:
        yield resolve(steps, value)
        return
    star = steps.index(ANY)
    inside = open_level(resolve(steps[:star], value))
    if isinstance(inside, dict):
        inside = list(inside.values())
    for child in inside if isinstance(inside, list) else ():
        yield from _each(steps[star + 1 :], child)
