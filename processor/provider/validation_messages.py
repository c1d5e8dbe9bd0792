"""Turns msgspec's validation errors of a TOML table into messages with key, table and remedy.

Used for profiles, and for the configuration, which passes its own examples.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, get_args

import msgspec

from processor.provider.profile import (
    CountFields,
    EchoRule,
    ErrorFields,
    ListRules,
    ProgressField,
    WaitField,
)
from processor.signing import Verify

# The tables inside tables, and an example for each key that is not a plain string.
NESTED_TABLES: dict[str, type[msgspec.Struct]] = {
    "verify": Verify,
    "or": Verify,
    "progress": ProgressField,
    "error": ErrorFields,
    "counts": CountFields,
    "eta": WaitField,
    "hint": WaitField,
    "echo": EchoRule,
    "list": ListRules,
}
EXAMPLES = {
    "verify": '{ scheme = "hmac-sha256", header = "X-Signature" }',
    "or": '{ scheme = "hmac-sha1", header = "X-Signature" }',
    "progress": '{ at = "/percent", of = 100 }',
    "error": '{ code = "/error/code", message = "/error/message" }',
    "counts": '{ total = "/total", failed = "/failed" }',
    "eta": '{ at = "/eta", unit = "s" }',
    "hint": '{ at = "/retry_in", unit = "s" }',
    "echo": '{ at = "/challenge", as = "challenge" }',
    "list": "a table, [poll.list]",
    "each": '"/data"',
    "more": '"GET /jobs?page={page}"',
    "most": "100",
    "about": '{ "/type" = ["job.done", "job.failed"] }',
    "id": '"/id"',
    "status": '"/status"',
    "at": '"/percent"',
    "as": '"challenge"',
    "aliases": '["/other_id"]',
    "older": '["X-Old-Signature"]',
    "request": '"GET /jobs/{id}"',
    "every": '["2s", "30s"]',
    "reads": "[200, 409]",
    "scheme": '"hmac-sha256"',
    "tolerance": '"5m"',
    "unit": '"s"',
    "answer": "200",
    "trust": '"refetch"',
    "headers": '{ Accept = "application/json" }',
    "params": '{ NAME = "…" }',
    "body": '{ url = "{url}" }',
    "docs": '"https://docs.example.com"',
    "base_url": '"https://api.example.com"',
    "checked": "2026-11-22",
    **{name: f"a table, [{name}]" for name in ("push", "poll", "submit", "states", "register")},
    "kinds": "tables, [kinds.NAME.push]",
}
PLAIN = {"bool": "true", "int": "a number", "array": "a list", "object": "a table"}
FOUND = {
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date with a time",
}
_INDEX = re.compile(r"\[.*")
_NAMED = re.compile(r"`(\w+)`")


class ProfileError(ValueError):
    """An error in a TOML file, with its table and key."""

    def __init__(self, table: str, key: str, text: str) -> None:
        """An empty `table` is the top of the file; an empty `key` is the table as a whole."""
        super().__init__(f"[{table}] {text}" if table else text)
        self.table, self.key, self.text = table, key, text


class _ErrorParts(NamedTuple):
    """An msgspec error: the words of its message, the key, and the type of the table."""

    words: tuple[str, ...]
    key: str
    shape: type[msgspec.Struct]
    examples: Mapping[str, str]


def describe_error(
    at: str,
    shape: type[msgspec.Struct],
    written: Mapping[str, Any],
    error: Exception,
    examples: Mapping[str, str] = EXAMPLES,
) -> ProfileError:
    """Describe what msgspec refused in a table; `examples` shows how to write each key."""
    what, _, path = str(error).rpartition(" - at `$")
    what, key = (what, path.strip("`.")) if what else (path, "")
    first, _, rest = key.partition(".")
    while (
        isinstance(written.get(first), dict)
        and first in NESTED_TABLES
        and (rest or not what.startswith("Expected"))
    ):
        at, shape, key = f"{at}.{first}", NESTED_TABLES[first], rest
        written = written.get(first, {})
        first, _, rest = key.partition(".")
    for pattern, say in MESSAGES:
        if match := re.fullmatch(pattern, what):
            named, text = say(_ErrorParts(match.groups(), key, shape, examples))
            return ProfileError(at, named, text)
    own = next((name for name in _NAMED.findall(what) if name in written), "")
    return ProfileError(at, key or own, f"{key}: {what}" if key else what)


def list_keys(shape: type[msgspec.Struct]) -> str:
    """The keys that a table allows, for messages."""
    return ", ".join(sorted(field.encode_name for field in msgspec.structs.fields(shape)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A suggestion for a mistyped name, as the end of a message; "" if none is similar."""
    near = difflib.get_close_matches(name.lower(), known, 1)
    return f"; did you mean `{near[0]}`?" if near else ""


def unknown_key(name: str, shape: type[msgspec.Struct], also: str = "") -> str:
    """The message for an unknown key; `also` lists further allowed keys."""
    keys = ", ".join(filter(None, [list_keys(shape), also]))
    return f"unknown key `{name}`; it takes {keys}{did_you_mean(name, keys.split(', '))}"


def _unknown(parts: _ErrorParts) -> tuple[str, str]:
    (name,) = parts.words
    return name, unknown_key(name, parts.shape)


def _missing(parts: _ErrorParts) -> tuple[str, str]:
    (name,) = parts.words
    return "", f"`{name}` is missing; add it, such as {name} = {parts.examples.get(name, '…')}"


def _wrong_type(parts: _ErrorParts) -> tuple[str, str]:
    wanted, got = parts.words
    name = _INDEX.sub("", parts.key)
    plain = PLAIN.get(wanted.partition(" ")[0], "a text")
    return (
        parts.key,
        f"`{name}` holds {FOUND.get(got, got)}; write {parts.examples.get(name, plain)}",
    )


def _wrong_length(parts: _ErrorParts) -> tuple[str, str]:
    wanted, got = parts.words
    written = parts.examples.get(parts.key, "a list")
    return parts.key, f"`{parts.key}` takes {wanted} values, not {got}; write {written}"


def _wrong_choice(parts: _ErrorParts) -> tuple[str, str]:
    (got,) = parts.words
    types = {field.encode_name: field.type for field in msgspec.structs.fields(parts.shape)}
    good = " or ".join(f'"{value}"' for value in get_args(types.get(parts.key)))
    return parts.key, f"`{parts.key}` cannot be {got}; write {good}"


def _not_a_date(parts: _ErrorParts) -> tuple[str, str]:
    return parts.key, f"`{parts.key}` is not a date; write {EXAMPLES['checked']}"


# The patterns of msgspec's messages, and the functions that write ours.
MESSAGES: tuple[tuple[str, Callable[[_ErrorParts], tuple[str, str]]], ...] = (
    (r"Object contains unknown field `(.*)`", _unknown),
    (r"Object missing required field `(.*)`", _missing),
    (r"Expected `array` of length (\d+), got (\d+)", _wrong_length),
    (r"Expected `(.+)`, got `(\w+)`", _wrong_type),
    (r"Invalid enum value ('.*')", _wrong_choice),
    (r"Invalid RFC3339 encoded date", _not_a_date),
)
