"""The deliveries of a subscription, with their attempts, for GET /v1/deliveries."""

from typing import Any

import msgspec

from processor.model import ARRIVED, DEAD
from processor.payload import utc
from processor.service.runtime.context import Context
from processor.service.subscriptions.validation import check_known

MAX_LISTED = 1000  # pending deliveries, and as many ended ones, read for one answer


STATES = ("pending", *ARRIVED, *DEAD)
"""Where a delivery can be."""


async def list_deliveries(
    context: Context, target: str, state: str | None, limit: int
) -> list[dict[str, Any]]:
    """Deliveries of a subscription with their attempts, the newest first.

    One that was made again is listed once, as it stands now.
    """
    check_known("state", [state] if state else [], STATES)
    stored = context.store.deliveries
    waiting = map(msgspec.json.decode, await stored.pending(target, MAX_LISTED))
    rows = [{"state": "pending", "reason": None, **one} for one in waiting]
    if state != "pending":
        rows += map(msgspec.json.decode, await stored.ended(target, MAX_LISTED))
    newest = {one["id"]: one for one in reversed(rows)}.values()  # the first of its id stays
    found = [one for one in newest if state in (None, one["state"])]
    found.sort(key=lambda one: -one["created_at"])
    return [_shown(one) for one in found[:limit]]


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "id": one["id"],
        "event_id": one["event_id"],
        "type": one["type"],
        "subscription": one["target"],
        "state": one["state"],
        "reason": one["reason"],
        "created_at": utc(one["created_at"]),
    }
    attempts = [
        {
            "at": utc(a["at"]),
            "seconds": a["seconds"],
            "status": a.get("status"),
            "error": a.get("error"),
        }
        for a in one.get("attempts") or []
    ]
    return shown | {"attempts": attempts}
