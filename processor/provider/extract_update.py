"""Extracts one status update from a document, with the pointers of a profile."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import product
from typing import Any, TypeGuard

import msgspec

from processor.errors import Unreadable
from processor.http_time import parse_number, parse_timestamp, parse_wait
from processor.json_input import is_whole, mended, write_json
from processor.model import FINAL, NULL, Counts, Failure, Origin, State, StatusUpdate
from processor.provider.condition import StatusField
from processor.provider.job_ids import LONGEST_ID, check_id, full_id
from processor.provider.large_json import open_level
from processor.provider.pointer import Pointer, PointerSum
from processor.provider.profile import (
    CountFields,
    ErrorFields,
    JobKind,
    ProgressField,
    PushFields,
    UpdateFields,
    WaitField,
)
from processor.state_machine import FUTURE_TOLERANCE

LONGEST_WORD = 200  # characters of a status, which becomes a metric label and a table cell
LONGEST_MESSAGE = 2_000  # characters of an error's text; the rest is cut
LARGEST_RESULT = 64 * 1024  # bytes; a larger one is dropped and flagged
DEEPEST_RESULT = 100  # levels of nesting; later readers have less stack left than this one
LARGEST_COUNT = 2**53 - 1  # the largest integer that every JSON reader holds exactly
HIGHEST_ATTEMPT = 2**31 - 1

LONGEST_PARAM = 4096  # characters; Azure's status URLs are as long as that

_ODDITIES = (
    "unknown_status",
    "progress_out_of_range",
    "result_truncated",
    "result_unreadable",
    "time_in_future",
)
_FLAGS = {  # the flags of every combination
    raised: tuple(flag for flag, on in zip(_ODDITIES, raised, strict=True) if on)
    for raised in product((False, True), repeat=len(_ODDITIES))
}

SUBMITTED = "submitted"  # the status of a submit response that names none

Headers = Mapping[str, str]
Find = Callable[[Pointer | PointerSum | StatusField | None], Any]


class UpdateContext(msgspec.Struct, frozen=True, gc=False):
    """What is known about an update before it is read."""

    source: str
    kind: str | None
    at: float  # the update's time if the provider gives none
    origin: Origin
    headers: Headers  # names in lower case
    job: str | None = None  # the polled id; None if the update must contain it
    reopens: bool = False


def as_object(value: object) -> dict[str, Any]:
    """Return the value as a JSON object; raise Unreadable for anything else."""
    value = open_level(value)
    if not isinstance(value, dict):
        raise Unreadable("there is no JSON object where the profile expects an update")
    return value


def read_update(
    kind: JobKind,
    fields: UpdateFields,
    document: Any,
    context: UpdateContext,
) -> StatusUpdate:
    """Read one update; raise Unreadable if id, status or attempt is missing or invalid."""
    headers = context.headers

    def find(pointer: Pointer | PointerSum | StatusField | None) -> Any:
        return None if pointer is None else pointer.find(document, headers)

    status, state = _status(kind, fields.status, find)
    job, *aliases = _job_ids(fields, find, context)
    ended = event_id = None
    if isinstance(fields, PushFields):
        ended = parse_timestamp(find(fields.reopens))
        event_id = _event_id(find(fields.event_id))
    time = parse_timestamp(find(fields.time)) if ended is None or state not in FINAL else ended
    at, in_future = _time(time, context)
    if ended is not None and _time(ended, context)[1]:  # in the future: it would outrank every end
        ended, in_future = None, True
    progress, out_of_range = _progress(fields.progress, find)
    result, too_much, unreadable = _result(find(fields.result))
    return StatusUpdate(
        source=context.source,
        id=job,
        status=status,
        state=state,
        at=at,
        origin=context.origin,
        aliases=tuple(aliases),
        attempt=_attempt(find(fields.attempt), fields.attempt),
        progress=progress,
        remaining=_remaining(fields.eta, find, context.at),
        result=result,
        error=_failure(fields.error, find) if fields.error else None,
        counts=_counts(fields.counts, find) if fields.counts else None,
        event_id=event_id,
        flags=_FLAGS[state is None, out_of_range, too_much, unreadable, in_future],
        params=_params(fields.params, find) if fields.params else {},
        reopens=context.reopens,
        poll_started_at=context.at if context.origin is Origin.POLL else None,
        run_ended_at=ended,
    )


def _time(given: float | None, context: UpdateContext) -> tuple[float, bool]:
    """The update's time, and whether it was dropped: a future one would outrank all others."""
    if given is None:
        return context.at, False
    in_future = given > context.at + FUTURE_TOLERANCE
    return context.at if in_future else given, in_future


def _status(kind: JobKind, word: StatusField | None, find: Find) -> tuple[str, State | None]:
    """The provider's status word and our state for it; a submit response may hold none."""
    if word is None:
        return SUBMITTED, State.QUEUED
    status = _word(find(word), word)
    return status, kind.states.of(status)


def _word(value: object, pointer: StatusField) -> str:
    """The provider's status; an empty one fails here, before `otherwise` could match it."""
    if not _is_scalar(value):
        raise Unreadable(f"there is no status at {pointer.text}")
    word = str(value)
    if len(word) > LONGEST_WORD or not word.strip() or not word.isprintable():
        raise Unreadable(f"the status at {pointer.text} is empty, too long or not printable")
    return word


def _job_ids(fields: UpdateFields, find: Find, context: UpdateContext) -> list[str]:
    """All ids of the job, its main id first: the polled one, else the one in the update.

    An invalid alias is skipped, since it says nothing about the job's state.
    """
    names = [] if context.job is None else [context.job]
    if fields.id is not None:
        names.append(_id(find(fields.id), fields.id, context.kind))
    for pointer in fields.aliases:
        with suppress(Unreadable):
            names.append(_id(find(pointer), pointer, context.kind))
    return list(dict.fromkeys(names)) if len(names) > 1 else names


def _id(value: object, pointer: Pointer, kind: str | None) -> str:
    if not _is_scalar(value):
        raise Unreadable(f"there is no id at {pointer.text}")
    try:
        return check_id(full_id(kind, str(value)), kind)
    except ValueError as error:
        raise Unreadable(f"at {pointer.text}: {error}") from None


def _attempt(value: object, pointer: Pointer | PointerSum | None) -> int | None:
    if value is None:
        return None
    if not _is_whole(value) or not 1 <= value <= HIGHEST_ATTEMPT:
        place = f" (at {pointer.text})" if isinstance(pointer, Pointer) else ""
        raise Unreadable(f"the attempt is not a whole number from 1{place}")
    return value


def _progress(field: ProgressField | None, find: Find) -> tuple[float | None, bool]:
    """The progress as a fraction, and whether a number was dropped because it is out of range."""
    if field is None:
        return None, False
    found = find(field.at)
    value = parse_number(found)
    whole = parse_number(find(field.of)) if isinstance(field.of, Pointer) else field.of
    if isinstance(found, str) and found.rstrip().endswith("%"):
        whole = 100.0
    if value is None or not whole:
        return None, False
    if not 0 <= value <= whole:
        return None, True
    return value / whole, False


def _remaining(field: WaitField | None, find: Find, now: float) -> float | None:
    """The seconds until the end that the provider expects."""
    return parse_wait(find(field.at), field.unit, now) if field else None


def _params(field: Mapping[str, Pointer], find: Find) -> dict[str, str]:
    """The values for placeholders; an unusable value is skipped."""
    found = {name: find(pointer) for name, pointer in field.items()}
    return {
        name: str(value)
        for name, value in found.items()
        if _is_scalar(value) and len(str(value)) <= LONGEST_PARAM and is_whole(str(value))
    }


def _result(value: object) -> tuple[msgspec.Raw, bool, bool]:
    """The result as JSON; whether it was dropped as too large, or as partly unreadable."""
    if value is None:
        return NULL, False, False
    if isinstance(value, msgspec.Raw):  # not decoded because it is large
        return NULL, True, False
    try:
        raw = write_json(value)
    except TypeError:
        return NULL, False, True
    except RecursionError:
        return NULL, True, False
    if len(raw) > LARGEST_RESULT or _is_deep(value, raw):
        return NULL, True, False
    return msgspec.Raw(raw), False, False


def _is_deep(value: Any, raw: bytes) -> bool:
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST_RESULT:
        return False
    level = [value]
    for _ in range(DEEPEST_RESULT):
        insides = (v.values() if isinstance(v, dict) else v for v in level)
        level = [child for inside in insides for child in inside if isinstance(child, dict | list)]
    return bool(level)


def _failure(field: ErrorFields, find: Find) -> Failure | None:
    code, message = find(field.code), find(field.message)
    if code is None and message is None:  # as in most updates
        return None
    code, message = _text(code), _text(message)
    return None if code is None and message is None else Failure(code, message)


def _counts(field: CountFields, find: Find) -> Counts | None:
    numbers = [_count(find(pointer)) for pointer in (field.total, field.succeeded, field.failed)]
    return None if numbers == [None, None, None] else Counts(*numbers)


def _count(value: object) -> int | None:
    return value if _is_whole(value) and 0 <= value <= LARGEST_COUNT else None


def _text(value: object) -> str | None:
    return mended(str(value)[:LONGEST_MESSAGE]) if _is_scalar(value) else None


def _event_id(value: object) -> str | None:
    """The provider's id of the update, or None if it is too long or not valid Unicode.

    Without an id the update is deduped by its content.
    """
    text = str(value) if _is_scalar(value) else ""
    return text if 0 < len(text) <= LONGEST_ID and is_whole(text) else None


def _is_scalar(value: object) -> TypeGuard[str | int]:
    """Ids, words and codes are strings or whole numbers; a bool or a fraction is an error."""
    return isinstance(value, str) or _is_whole(value)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
