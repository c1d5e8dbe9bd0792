"""The deliveries of a subscription or a job, with their attempts; and how subscriptions fare."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from processor.event_filters import EventRouter
from processor.event_types import JOB_TYPES
from processor.model import ARRIVED, DEAD, Subscription
from processor.payload import utc
from processor.service.jobs.query import Found
from processor.service.runtime.context import Context
from processor.service.subscriptions.validation import check_known
from processor.store.deliveries import DeliveryCounts
from processor.store.subscriber_health import SubscriberHealth

MAX_TARGETS = 20  # whose deliveries of a job are listed
MAX_EVENTS = 50  # of a job, the newest
MAX_LISTED = 1000  # pending deliveries, and as many ended ones, read for one answer
ALL = 2 * MAX_LISTED

STATES = ("pending", *ARRIVED, *DEAD)
"""The states of a delivery."""


async def list_deliveries(
    context: Context, target: str, state: str | None, limit: int, lane: str | None = None
) -> list[dict[str, Any]]:
    """Deliveries of a subscription or callback target, newest first; one that was replayed or
    retried is listed once, as it is now. A callback target shares its `lane` with others.
    """
    check_known("state", [state] if state else [], STATES)
    stored = context.store.deliveries
    pending = await stored.pending(target, lane or target, MAX_LISTED)
    rows = [_pending(payload, next_at) for payload, next_at in pending]
    if state != "pending":
        rows += map(msgspec.json.decode, await stored.ended(target, MAX_LISTED))
    newest = {row["id"]: row for row in reversed(rows)}.values()  # the first row of an id wins
    found = [row for row in newest if state in (None, row["state"])]
    found.sort(key=lambda row: -row["created_at"])
    return [_view(row) for row in found[:limit]]


def _pending(payload: bytes, next_at: float | None) -> dict[str, Any]:
    """A delivery that has not ended, as the row of one that has."""
    row: dict[str, Any] = msgspec.json.decode(payload)
    return row | {"state": "pending", "reason": None, "next_at": next_at}


async def of_job(
    context: Context, found: Found, entries: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Deliveries of a job, newest first: of the newest events in its history, to its callbacks and
    to the subscriptions that want its events, also disabled ones.
    """
    job = found.job
    known = (await context.store.subscriptions.current(found.keys)).listed
    router = EventRouter("", [replace(s, disabled=None) for s in known])
    wanting = {
        s.id: None
        for kind in JOB_TYPES
        for s in router.matching(kind, job.source, job.provider, job.metadata)
    }
    targets = [*(callback.id for callback in job.callbacks), *wanting][:MAX_TARGETS]
    events = [entry["event"] for entry in entries if entry.get("event")][-MAX_EVENTS:]
    docs = await context.store.deliveries.of_events(found.keys, targets, events, job.created_at)
    rows = [_pending(doc, None) | msgspec.json.decode(doc) for doc in docs]
    newest = {row["id"]: row for row in reversed(rows)}.values()
    return [_view(row) for row in sorted(newest, key=lambda row: -row["created_at"])]


MAX_COUNTED = 500  # subscriptions whose deliveries are counted for one page
MAX_RECENT = 30  # ended deliveries that show how a subscription fares


class Health(NamedTuple):
    """How a subscription fares."""

    counts: DeliveryCounts
    overflows: bool  # some of its deliveries are only in the event log yet
    failing: SubscriberHealth  # since its last success


async def health(context: Context, subscriptions: Sequence[Subscription]) -> dict[str, Health]:
    """How subscriptions fare, by id; the deliveries of the first MAX_COUNTED are counted."""
    store = context.store
    failing = await store.failure_scores.all(await store.now())
    overflows = {target for k in store.shards for target in await store.deliveries.overflow(k)}
    counts = await store.deliveries.counts([s.id for s in subscriptions[:MAX_COUNTED]])
    return {
        s.id: Health(
            counts.get(s.id, DeliveryCounts()),
            overflows=s.id in overflows,
            failing=failing.get(s.id, SubscriberHealth()),
        )
        for s in subscriptions
    }


async def recent(context: Context, targets: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The last ended deliveries of subscriptions, by id, the newest last."""
    found = await context.store.deliveries.newest_ended(targets, MAX_RECENT)
    return {t: [_view(msgspec.json.decode(doc)) for doc in docs] for t, docs in found.items()}


def _view(row: dict[str, Any]) -> dict[str, Any]:
    """A delivery as the API shows it."""
    shown = {name: row[name] for name in ("id", "event_id", "type", "state", "reason")}
    attempts = [
        {
            "at": utc(attempt["at"]),
            "seconds": attempt["seconds"],
            "status": attempt.get("status"),
            "error": attempt.get("error"),
        }
        for attempt in row.get("attempts") or []
    ]
    next_at = row.get("next_at")
    return shown | {
        "subscription": row["target"],
        "job": row.get("job"),
        "next_attempt_at": None if next_at is None else utc(next_at),
        "created_at": utc(row["created_at"]),
        "attempts": attempts,
    }
