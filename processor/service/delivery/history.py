"""The deliveries of a subscription, with their attempts, for GET /v1/deliveries."""

from typing import Any

import msgspec

from processor.model import ARRIVED, DEAD
from processor.payload import utc
from processor.service.runtime.context import Context
from processor.service.subscriptions.validation import check_known

MAX_LISTED = 1000  # pending deliveries, and as many ended ones, read for one answer

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
    pending = await stored.pending(lane or target, MAX_LISTED)
    rows = [_pending(payload, next_at) for payload, next_at in pending]
    rows = [row for row in rows if row["target"] == target]
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
