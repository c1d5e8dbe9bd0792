"""Extracts one status update from a document, with the pointers of a profile."""

from collections.abc import Iterable, Mapping
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
from processor.provider.pointer import Pointer
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
    status = _word(fields.status, document, headers) if fields.status else SUBMITTED
    state = kind.states.of(status) if fields.status else State.QUEUED
    job, *aliases = _job_ids(fields, document, context)
    time = ended = event_id = None
    if isinstance(fields, PushFields):
        if fields.reopens:
            ended = parse_timestamp(fields.reopens.find(document, headers))
        if fields.event_id:
            event_id = _event_id(fields.event_id.find(document, headers))
    if ended is not None and state in FINAL:
        time = ended
    elif fields.time:
        time = parse_timestamp(fields.time.find(document, headers))
    at, in_future = _time(time, context)
    if ended is not None and _time(ended, context)[1]:  # in the future: it would outrank every end
        ended, in_future = None, True
    progress, out_of_range = _progress(fields.progress, document, headers)
    found = fields.result.find(document, headers) if fields.result else None
    result, too_much, unreadable = _result(found)
    return StatusUpdate(
        source=context.source,
        id=job,
        status=status,
        state=state,
        at=at,
        origin=context.origin,
        aliases=tuple(aliases),
        attempt=_attempt(fields.attempt, document, headers) if fields.attempt else None,
        progress=progress,
        remaining=_remaining(fields.eta, document, context) if fields.eta else None,
        result=result,
        error=_failure(fields.error, document, headers) if fields.error else None,
        counts=_counts(fields.counts, document, headers) if fields.counts else None,
        event_id=event_id,
        flags=_FLAGS[state is None, out_of_range, too_much, unreadable, in_future],
        params=_params(fields.params, document, headers) if fields.params else {},
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


def _word(field: StatusField, document: Any, headers: Headers) -> str:
    """The provider's status; an empty one fails here, before `otherwise` could match it."""
    word = _scalar(field.find(document, headers))
    if word is None:
        raise Unreadable(f"there is no status at {field.text}")
    if len(word) > LONGEST_WORD or not word.strip() or not word.isprintable():
        raise Unreadable(f"the status at {field.text} is empty, too long or not printable")
    return word


def _job_ids(fields: UpdateFields, document: Any, context: UpdateContext) -> Iterable[str]:
    """All ids of the job, its main id first: the polled one, else the one in the update.

    An invalid alias is skipped, since it says nothing about the job's state.
    """
    names = [] if context.job is None else [context.job]
    if fields.id:
        names.append(_id(fields.id, document, context))
    for pointer in fields.aliases:
        with suppress(Unreadable):
            names.append(_id(pointer, document, context))
    return dict.fromkeys(names)


def _id(pointer: Pointer, document: Any, context: UpdateContext) -> str:
    text = _scalar(pointer.find(document, context.headers))
    if text is None:
        raise Unreadable(f"there is no id at {pointer.text}")
    try:
        return check_id(full_id(context.kind, text), context.kind)
    except ValueError as error:
        raise Unreadable(f"at {pointer.text}: {error}") from None


def _attempt(pointer: Pointer, document: Any, headers: Headers) -> int | None:
    value = pointer.find(document, headers)
    if value is None:
        return None
    if not _is_whole(value) or not 1 <= value <= HIGHEST_ATTEMPT:
        raise Unreadable(f"the attempt is not a whole number from 1 (at {pointer.text})")
    return value


def _progress(
    field: ProgressField | None, document: Any, headers: Headers
) -> tuple[float | None, bool]:
    """The progress as a fraction, and whether a number was dropped because it is out of range."""
    if field is None:
        return None, False
    found, whole = field.at.find(document, headers), field.of
    value = parse_number(found)
    if isinstance(whole, Pointer):
        whole = parse_number(whole.find(document, headers))
    if isinstance(found, str) and found.rstrip().endswith("%"):
        whole = 100.0
    if value is None or not whole:
        return None, False
    if not 0 <= value <= whole:
        return None, True
    return value / whole, False


def _remaining(field: WaitField, document: Any, context: UpdateContext) -> float | None:
    """The seconds until the end that the provider expects."""
    return parse_wait(field.at.find(document, context.headers), field.unit, context.at)


def _params(field: Mapping[str, Pointer], document: Any, headers: Headers) -> dict[str, str]:
    """The values for placeholders; an unusable value is skipped."""
    found = {name: _scalar(pointer.find(document, headers)) for name, pointer in field.items()}
    return {
        name: text
        for name, text in found.items()
        if text is not None and len(text) <= LONGEST_PARAM and is_whole(text)
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


def _failure(fields: ErrorFields, document: Any, headers: Headers) -> Failure | None:
    code = fields.code.find(document, headers) if fields.code else None
    message = fields.message.find(document, headers) if fields.message else None
    if code is None and message is None:  # as in most updates
        return None
    code, message = _text(code), _text(message)
    return None if code is None and message is None else Failure(code, message)


def _counts(fields: CountFields, document: Any, headers: Headers) -> Counts | None:
    pointers = (fields.total, fields.succeeded, fields.failed)
    numbers = [_count(p.find(document, headers)) if p else None for p in pointers]
    return None if numbers == [None, None, None] else Counts(*numbers)


def _count(value: object) -> int | None:
    return value if _is_whole(value) and 0 <= value <= LARGEST_COUNT else None


def _text(value: object) -> str | None:
    text = _scalar(value)
    return None if text is None else mended(text[:LONGEST_MESSAGE])


def _event_id(value: object) -> str | None:
    """The provider's id of the update, or None if it is too long or not valid Unicode.

    Without an id the update is deduped by its content.
    """
    text = _scalar(value)
    return text if text and len(text) <= LONGEST_ID and is_whole(text) else None


def _scalar(value: object) -> str | None:
    """The text of a string or a whole number, as ids, words and codes are; None for other values."""
    if isinstance(value, str):
        return value
    return str(value) if _is_whole(value) else None


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
