"""Why a part of a push is not about a job: which place was empty, or which word is not listed."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from processor.json_input import mended
from processor.provider.condition import Condition, Mismatch

LONGEST_VALUE = 100  # characters of a value that are shown


class IgnoredPart(NamedTuple):
    """A part of a push that was ignored: the reason, the place in it by the profile, and a sentence.

    Reason and place are bounded by the profile; the sentence quotes the push.
    """

    reason: str  # `empty`, `not_listed`, `not_empty`, `challenge`, `confirmation`
    at: str
    text: str


CHALLENGE = IgnoredPart("challenge", "", "it is a challenge, which is answered")
CONFIRMATION = IgnoredPart("confirmation", "", "it asks to confirm a subscription")


def explain(
    conditions: Iterable[Condition], part: dict[str, Any], headers: Mapping[str, str]
) -> IgnoredPart:
    """Why none of a profile's conditions holds: the first that fails at a value, else at an empty place."""
    found = [miss for one in conditions if (miss := one.mismatch(part, headers))]
    found.sort(key=lambda miss: miss.reason == "empty")
    if not found:
        return IgnoredPart("empty", "", "the profile reads no such push")
    first = found[0]
    return IgnoredPart(first.reason, first.at, _sentence(first))


def _sentence(miss: Mismatch) -> str:
    if miss.reason == "empty":
        return f"there is nothing at `{miss.at}`"
    if miss.reason == "not_empty":
        return f"there is a value at `{miss.at}`"
    return f"`{miss.at}` is {_shown(miss.value)}, which the profile's `about` does not list"


def _shown(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return "no word"
    text = mended(str(value)[:LONGEST_VALUE])
    readable = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return f"`{readable}`"
