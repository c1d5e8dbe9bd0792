"""What Redis refuses until it is repaired: a key of another type, a command without a right."""

import re
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from processor.errors import MissingPermission, StoreUnavailable, Unavailable, WrongKeyType
from processor.store.keys import is_shared

_KEY = re.compile(r"(?:\{rb:\d+\}|\brb):[^\s)]+")
_TYPES = re.compile(r"WRONGTYPE (?P<key>.+) is a (?P<found>\w+), not a (?P<ours>\w+)", re.DOTALL)
_IN_SCRIPT = re.compile(r" script: \w+, on @user_script:\d+\.?$")
_DENIED = re.compile(
    r"^ACL failure in script|^The user executing the script (can't|is lacking)"
    r"|^Transaction discarded because of: NOPERM|^EXEC without MULTI"
)
"""NOPERM in other words: in a script (the second of the two is Redis 7.0's), of EXEC, and what follows
from a denied MULTI."""

REMEDY = "it is not Ringback's: rename or delete it; what needs it is tried again by itself"

Outcome = bool | WrongKeyType
"""The result for one of many things that a script writes, each of which can fail alone."""


class Client(Redis):
    """A client whose WRONGTYPE errors name the key, as the scripts do."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command."""
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # theirs
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                key = next((a for a in map(str, args) if _KEY.match(a)), "")
                raise ResponseError(f"{error}: {key}") from error
            raise


def outcome(row: int | bytes) -> Outcome:
    """Done, not done, or what a script found wrong with the type of a key."""
    return wrong_key(row.decode()) if isinstance(row, bytes) else bool(row)


def or_wrong_key(row: Any) -> Any:
    """A row of a pipeline that raises nothing by itself; a wrong key type is its result."""
    if not isinstance(row, ResponseError):
        return row
    if str(row).startswith("WRONGTYPE"):
        return wrong_key(str(row))
    raise refusal(row) or row


def outcomes(rows: Iterable[Outcome]) -> list[bool]:
    """The same for many; one that failed is an error of the whole call."""
    done = []
    for row in rows:
        if isinstance(row, WrongKeyType):
            raise row
        done.append(row)
    return done


def wrong_key(text: str) -> WrongKeyType:
    """The error for `WRONGTYPE KEY is a FOUND, not a OURS`."""
    return WrongKeyType(_sentence(text)[1])


def refusal(error: ResponseError) -> Unavailable | None:
    """The error for what Redis refused; None if it is an internal error."""
    text = _IN_SCRIPT.sub("", str(error))
    if isinstance(error, NoPermissionError) or _DENIED.search(text):
        return MissingPermission(f"Redis denies its user what Ringback needs: {text}")
    if "WRONGTYPE" not in text:
        return None
    key, sentence = _sentence(text)
    return StoreUnavailable(sentence) if is_shared(key) else WrongKeyType(sentence)


def _sentence(text: str) -> tuple[str, str]:
    if match := _TYPES.search(text):
        key, found, ours = match.group("key", "found", "ours")
        return key, f"Redis key {key} is a {found}, not a {ours}: {REMEDY}"
    key = match[0] if (match := _KEY.search(text)) else "of unknown name"
    return key, f"Redis key {key} has another type than Ringback's: {REMEDY}"
