"""Reads the provider's response to the user's own submit call, which a job may start from."""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.errors import InvalidValue, Unreadable
from processor.http_time import parse_retry_after
from processor.json_input import raw_bytes, read_json, write_json
from processor.model import SUCCESSES, Origin, StatusUpdate
from processor.provider.extract_update import UpdateContext, as_object, read_update
from processor.provider.pointer import CODE
from processor.provider.poll_response import as_line, update_document
from processor.provider.profile import JobKind, PollRules, Profile

LONGEST_QUOTE = 200  # characters of the caller's own text that an error quotes


def read_submit_response(  # noqa: PLR0917 - one fact about the call each
    profile: Profile,
    source: str,
    job: str,
    status: int,
    headers: Mapping[str, str],
    body: Any,
    now: float,
) -> StatusUpdate:
    """Read id, aliases and state with [submit], else like a poll response.

    `job` is the id that the caller gave; it is kept if the response contains none. `body` is JSON
    as text or bytes, or already decoded. Raise InvalidValue with the reason.
    """
    kind = profile.kind_of(job)
    known = profile.kinds.get(kind)
    if known is None or not (known.submit or known.poll):
        raise InvalidValue(f"`submitted` cannot be read: {profile.name} has no [submit], no [poll]")
    raw = body if isinstance(body, bytes) else _encoded(body)
    reads = known.poll.reads if known.poll else ()
    if status not in SUCCESSES and status not in reads:
        raise InvalidValue(f"`submitted` is HTTP {status}, so it started no job: {_quoted(raw)}")
    lower = {name.lower(): value for name, value in headers.items()} | {CODE: str(status)}
    again = parse_retry_after(lower.get("retry-after"), now)
    try:
        update = _read(known, raw, job, UpdateContext(source, kind, now, Origin.SUBMIT, lower))
        return update if again is None else msgspec.structs.replace(update, poll_after=again)
    except Unreadable as error:
        raise InvalidValue(f"`submitted` does not name a job, {error}: {_quoted(raw)}") from None


def _read(known: JobKind, raw: bytes, job: str, context: UpdateContext) -> StatusUpdate:
    fields = known.submit or known.poll
    if fields is None:
        raise Unreadable("the profile does not say how")
    if fields.id is None:
        context = msgspec.structs.replace(context, job=job)
    document: Any = None  # if all values are in the headers
    if isinstance(fields, PollRules):
        document = update_document(fields, read_json(raw), dict(context.headers), "")
    elif fields.id or fields.status:
        document = as_object(read_json(raw))
    return read_update(known, fields, document, context)


def _quoted(raw: bytes) -> str:
    return as_line(raw)[:LONGEST_QUOTE]


def _encoded(body: Any) -> bytes:
    return raw_bytes(body) if isinstance(body, str) else write_json(body)
