"""Replay: delivers the events of the log that a subscription wants and did not get."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from processor.durations import parse_duration
from processor.errors import Conflict, InvalidValue, Unavailable
from processor.event_types import FILTER_NAMES
from processor.model import Subscription
from processor.service.replay.plan import Plan, ReplayResult
from processor.service.replay.scan_log import scan
from processor.service.runtime.context import Context
from processor.service.subscriptions import manage
from processor.service.subscriptions.validation import check_known
from processor.store.stream_ids import position_at, sort_key
from processor.subscription_settings import EventName

Moment = Annotated[
    str,  # parsed by `moment`, for a better message
    msgspec.Meta(
        extra_json_schema={
            "anyOf": [
                {"pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d)$"},
                {"format": "date-time"},
            ]
        }
    ),
]
Cursor = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_-]+={0,2}$"})]


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/subscriptions/{id}/replay`."""

    since: Moment | None = None
    after: Cursor | None = None
    until: Moment | None = None
    events: tuple[EventName, ...] = ()
    source: str | None = None
    state: Literal["all", "failed"] = "all"
    again: bool = False


class CreateWithReplay(
    manage.CreateSubscription, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """The body of `POST /v1/subscriptions`."""

    since: Moment | None = None


async def create(
    context: Context, request: CreateWithReplay
) -> tuple[Subscription, ReplayResult | None]:
    """Create a subscription, and deliver the events since a time that it would have received.

    It is created first, so that every later commit considers it; then the log is read up to here.
    An event on both sides of that line has the same delivery id, so it is delivered once.
    """
    now = await context.store.now()
    since = None if request.since is None else moment("since", request.since, now)
    made = await manage.create(context, request)
    return made, None if since is None else await _replay_past(context, made, since)


async def _replay_past(context: Context, made: Subscription, since: float) -> ReplayResult:
    """Replay for a new subscription. The caller must get its secret, even if Redis is unavailable now."""
    events, starts = context.store.events, [position_at(since) for _ in context.store.shards]
    try:
        return await scan(context, Plan(made, starts, await events.end()))
    except Unavailable:
        return ReplayResult(next=events.cursor(starts))


async def replay(context: Context, target: str, request: ReplayRequest) -> ReplayResult:
    """Replay the log for a subscription; Conflict while it is disabled."""
    found = await manage.get(context, target)
    check_known("events", request.events, FILTER_NAMES)
    sources = [request.source] if request.source else []
    check_known("source", sources, tuple(context.settings.sources))
    starts, ends = await _span(context, request)
    manage.check_enabled(found)
    plan = Plan(
        target=found,
        starts=starts,
        ends=ends,
        events=request.events,
        source=request.source,
        failed=request.state == "failed",
        again=request.again,
    )
    done = await scan(context, plan)
    if done.next and context.store.events.read_cursor(done.next) == starts:
        limit = context.store.keep.waiting
        raise Conflict(
            f"{found.id}: {limit} deliveries are pending; continue when some are delivered"
        )
    return done


async def _span(context: Context, request: ReplayRequest) -> tuple[list[str], list[str]]:
    """The positions of the log to scan between, a pair for each shard."""
    events, now = context.store.events, await context.store.now()
    ends = await events.end()
    since = None if request.since is None else moment("since", request.since, now)
    if request.until is not None:
        until = moment("until", request.until, now)
        if since is not None and until < since:
            raise InvalidValue("until: it is before `since`; exchange them")
        ends = [min(end, position_at(until), key=sort_key) for end in ends]
    if request.after is not None:
        if since is not None:
            raise InvalidValue("after: it stands instead of `since`; send one of them")
        return events.read_cursor(request.after), ends
    if since is None:
        raise InvalidValue(
            "since: it is missing; write from when, such as 24h or 2026-11-22T10:00:00Z"
        )
    return [position_at(since) for _ in ends], ends


def moment(field: str, text: str, now: float) -> float:
    """Parse `24h` (ago) or a time with its zone; seconds since 1970."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        remedy = (
            "write a time with its zone, such as 2026-11-22T10:00:00Z, or how long ago, such as 24h"
        )
        raise InvalidValue(f"{field}: {text!r} is not a time; {remedy}")
    return time.timestamp()
