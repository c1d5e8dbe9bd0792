"""The words of a profile that mean more than their text: compiled once, or refused."""

from collections.abc import Mapping
from typing import Any, Self

from processor.model import State
from processor.provider.place import Place
from processor.provider.seconds import duration


class Seconds(float):
    """A duration, written `1.5s`, `5m`, `24h`."""

    def __new__(cls, text: object) -> Self:
        """Read the text; raise ValueError with the remedy."""
        return super().__new__(cls, duration(str(text)))


class Budget(tuple[int, float]):
    """How many polls an account may make in how many seconds, written `600/1m`."""

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Read the text; raise ValueError with the remedy."""
        polls, slash, span = str(text).partition("/")
        if not slash or not polls.isdecimal() or not int(polls) or not duration(span):
            raise ValueError(f"`{text}` is no budget; write polls per time, such as 600/1m")
        return super().__new__(cls, (int(polls), duration(span)))


class States:
    """Which of the provider's words is which of our states.

    `otherwise` stands for every word not listed; without it an unknown word is None, and
    keeps the job where it is.
    """

    __slots__ = ("otherwise", "words")

    def __init__(self, table: object) -> None:
        """Take the table as written; raise ValueError with the remedy."""
        if not isinstance(table, dict) or not table:
            raise ValueError('no words; map each of the provider\'s, such as done = "succeeded"')
        states = {word: _state(word, state) for word, state in table.items()}
        self.otherwise = states.pop("otherwise", None)
        self.words = states

    def of(self, word: str) -> State | None:
        """Return our state for the provider's word, or None where it is unknown."""
        return self.words.get(word, self.otherwise)


def _state(word: str, state: object) -> State:
    try:
        return State(state)  # type: ignore[arg-type] # whatever the file holds
    except ValueError:
        raise ValueError(f"{word} = {state!r} is no state; use {', '.join(State)}") from None


class About:
    """Which updates are about a job of this kind: a place and the words it may hold."""

    __slots__ = ("_rules",)

    def __init__(self, table: object = None) -> None:
        """Take `{ "/type" = ["job.done", …] }`; no table means all of them."""
        rules = {} if table is None else table
        if not isinstance(rules, dict) or not all(map(_are_words, rules.values())):
            raise ValueError('write it as { "/type" = ["job.done", "job.failed"] }')
        self._rules = tuple((Place(spot), frozenset(words)) for spot, words in rules.items())

    def matches(self, document: Any, headers: Mapping[str, str]) -> bool:
        """Whether every place holds one of its words."""
        for place, words in self._rules:
            found = place.find(document, headers)
            if not isinstance(found, str) or found not in words:
                return False
        return True


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
