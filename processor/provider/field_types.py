"""The types of a profile's values: durations, sizes, budgets, states, auth, decoders."""

import base64
from typing import Self

from processor.durations import parse_duration
from processor.model import State
from processor.sizes import parse_push_size


class Seconds(float):
    """A duration, written `1.5s`, `5m`, `24h`."""

    def __new__(cls, text: object) -> Self:
        """Parse the text; raise ValueError with the remedy."""
        return super().__new__(cls, parse_duration(str(text)))


class Size(int):
    """The bytes that a push may have, written `20MB`."""

    def __new__(cls, text: object) -> Self:
        """Parse the text; raise ValueError with the remedy."""
        return super().__new__(cls, parse_push_size(str(text)))


class Budget(tuple[int, float]):
    """How many polls an account may make in how many seconds, written `600/1m`."""

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Parse the text; raise ValueError with the remedy."""
        polls, slash, span = str(text).partition("/")
        if not slash or not polls.isdecimal() or not int(polls) or not parse_duration(span):
            raise ValueError(f"`{text}` is not a budget; write polls per time, such as 600/1m")
        return super().__new__(cls, (int(polls), parse_duration(span)))


class States:
    """Maps the provider's status words to our states.

    `otherwise` is the state of every word that is not listed; without it an unknown word is None
    and does not change the state of the job.
    """

    __slots__ = ("otherwise", "words")

    def __init__(self, table: object) -> None:
        """Compile the table of a profile; raise ValueError with the remedy."""
        if not isinstance(table, dict) or not table:
            raise ValueError('no words; map each of the provider\'s, such as done = "succeeded"')
        states = {word: _state(word, state) for word, state in table.items()}
        self.otherwise = states.pop("otherwise", None)
        self.words = states

    def of(self, word: str) -> State | None:
        """Return our state for the provider's word, or None if the word is unknown."""
        return self.words.get(word, self.otherwise)


def _state(word: str, state: object) -> State:
    try:
        return State(state)  # type: ignore[arg-type] # of any type
    except ValueError:
        raise ValueError(f"{word} = {state!r} is not a state; use {', '.join(State)}") from None


class Auth:
    """How a source's token is sent: `bearer`, `basic`, or the whole header.

    `optional`: without a token, polls are sent without the header.
    """

    __slots__ = ("_name", "_value", "optional", "text")

    def __init__(self, text: object) -> None:
        """Parse the text; raise ValueError with the remedy."""
        self.text = str(text)
        written = AUTHS.get(self.text, self.text)
        self._name, colon, self._value = written.partition(": ")
        if not colon or not self._value or not ("{token}" in written or "{basic}" in written):
            raise ValueError(
                f"`{text}` is not known; write {', '.join(AUTHS)}, or the header itself, "
                "`X-Api-Key: {token}`"
            )
        self.optional = self.text == "bearer-if-set"

    @property
    def name(self) -> str:
        """The header's name, in lower case."""
        return self._name.lower()

    def tokens(self, value: str) -> tuple[str, ...]:
        """The tokens that a header with this value may contain: the reverse of `header`.

        Of `user:password` that is the whole, the user and the password.
        """
        before, mark, after = self._value.replace("{basic}", "{token}").partition("{token}")
        scheme, token = value[: len(before)], value[len(before) : len(value) - len(after)]
        if not mark or scheme.lower() != before.lower() or not value.endswith(after):
            return ()
        token = token.strip()
        if "{basic}" not in self._value:
            return (token,) if token else ()
        try:
            whole = base64.b64decode(token, validate=True).decode()
        except ValueError:
            return ()
        user, colon, password = whole.partition(":")
        return tuple(filter(None, (whole, user, password))) if colon else ()

    def header(self, token: str) -> tuple[str, str]:
        """Return name and value of the header for this token."""
        basic = base64.b64encode(token.encode()).decode() if "{basic}" in self._value else ""
        return self._name, self._value.replace("{token}", token).replace("{basic}", basic)


AUTHS = {
    "bearer": "Authorization: Bearer {token}",
    "bearer-if-set": "Authorization: Bearer {token}",
    "basic": "Authorization: Basic {basic}",  # RFC 7617; the token is `user:password`
}


class Decode:
    """How a push's body becomes JSON: `json`, `form:FIELD`, `sns`, `cloudevents`."""

    __slots__ = ("field", "name")

    def __init__(self, text: object) -> None:
        """Parse the text; raise ValueError with the remedy."""
        self.name, colon, self.field = str(text).partition(":")
        known = self.name in {"json", "sns", "cloudevents"} and not colon
        if not known and not (self.name == "form" and self.field):
            raise ValueError(f"`{text}` is not known; write json, form:FIELD, sns or cloudevents")
