"""Work in lanes: what waits, what is claimed, how that went; and all of it as the scripts take it."""

from typing import Any

import msgspec

from processor.model import JobOrder
from processor.store.connection import ScriptArgs
from processor.store.keys import Keys

RECORDS, DEAD_RECORDS = 1000, 5000  # of ended deliveries of a target: many arrive, few do not


class LaneLimits(msgspec.Struct, frozen=True):
    """How much of a lane may be in work at once, and how fast it may be started."""

    capacity: int
    budget: tuple[int, float] | None = None  # so many items in so many seconds
    fair: int | None = None  # how much of it this process takes at most, however much is free


class Claim(msgspec.Struct):
    """An item that this process holds until its lease ends; renewing changes the token."""

    shard: int
    backlog: str
    lane: str
    item: str
    payload: bytes
    token: int


class Busy(msgspec.Struct, frozen=True):
    """Why nothing more may start in a lane now, and for how many seconds, if that is known."""

    reason: str  # parked, held (the same is under way), full or paced
    wait: float


NOW = 0.0  # as a Put's time: whatever Redis' clock says


class WorkItem(msgspec.Struct, frozen=True):
    """An item to wait in a lane until `at` (seconds), or for its turn.

    It replaces one of the same name, unless that is among its turns.
    """

    backlog: str
    lane: str
    item: str
    at: float
    payload: bytes
    order: JobOrder | None = None


class Settlement(msgspec.Struct, frozen=True):
    """How a claim went: over (`at` None), or due again with another payload."""

    claim: Claim
    at: float | None = None
    payload: bytes = b""
    failed: bool = False  # postponed because it failed: what was never tried goes first
    order: JobOrder | None = None
    may_be_skipped: bool = False  # postponed, and later deliveries of its job may overtake it
    requires_token: bool = False  # settle only if our token still matches, as if postponed
    event: str | None = None  # a delivery's event, which has one delivery less to make
    target: str | None = None  # whose list of ended deliveries takes `record`
    record: bytes | None = None
    delivered: bool = False  # no replay needed: the target got the event, or a later one


class Lanes:
    """The lanes that one script call is about, each named once."""

    def __init__(self, keys: Keys, call: ScriptArgs) -> None:
        """Start with none."""
        self._keys = keys
        self._call = call
        self._places: dict[tuple[str, str], int] = {}
        self.told: list[dict[str, str | int | bool]] = []

    def place(self, backlog: str, lane: str) -> int:
        """The place of a lane, which is added if it is new."""
        place = self._places.get((backlog, lane))
        if place is None:
            key, keys = self._call.key, self._keys
            waiting = {"waiting": key(keys.waiting)} if backlog == "ingest" else {}
            self.told.append(
                {
                    **waiting,
                    "name": lane,
                    "bounded": backlog == "deliver" and lane.startswith("sub_"),
                    "lanes": key(keys.lanes(backlog)),
                    "items": key(keys.items(backlog)),
                    "due": key(keys.due(backlog, lane)),
                    "again": key(keys.again(backlog, lane)),
                    "held": key(keys.held(backlog, lane)),
                    "nudge": key(keys.nudge(backlog)),
                    "busy": key(keys.busy(backlog)),
                }
            )
            place = self._places[backlog, lane] = len(self.told)
        return place

    def put(self, put: WorkItem) -> tuple[int | str, ...]:
        """A Put as the scripts take it."""
        lane, payload = self.place(put.backlog, put.lane), self._call.blob(put.payload)
        told = lane, put.item, int(put.at * 1000), payload
        return (*told, *_order(self._keys, self._call, put.lane, put.order)) if put.order else told


def settled_told(
    keys: Keys, call: ScriptArgs, lanes: Lanes, s: Settlement, today: int
) -> dict[str, Any]:
    """A Settled as its script takes it."""
    told: dict[str, Any] = {
        "lane": lanes.place(s.claim.backlog, s.claim.lane),
        "item": s.claim.item,
    }
    if s.requires_token or s.at is not None:
        told["token"] = s.claim.token
    if s.order:
        order, sequence = _order(keys, call, s.claim.lane, s.order)
        told |= {"order": order, "sequence": sequence, "may_be_skipped": s.may_be_skipped}
    if s.at is not None:
        payload = call.blob(s.payload)
        return told | {"at": int(s.at * 1000), "payload": payload, "failed": s.failed}
    if s.event is not None:
        told["event"] = call.key(keys.event(s.event))
    if s.record is not None and s.target is not None:
        log, length = (keys.delivered, RECORDS) if s.delivered else (keys.dead, DEAD_RECORDS)
        told |= {"log": call.key(log(s.target)), "length": length, "record": call.blob(s.record)}
    if s.delivered and s.event and s.target and s.target.startswith("sub_"):
        day, before = (call.key(keys.delivered_ids(s.target, d)) for d in (today, today - 1))
        told |= {"today": day, "yesterday": before, "id": s.event}
    return told


def _order(keys: Keys, call: ScriptArgs, target: str, order: JobOrder) -> tuple[int, int]:
    return call.key(keys.order(target, order.job)), order.sequence


def limits(pace: LaneLimits) -> tuple[int, float, int, int]:
    """Capacity, ms an item, items at once, our part: never more than the budget in any span of it.

    A tenth of the budget may start at once and nine tenths flow, so any window holds at
    most the whole.
    """
    fair = pace.capacity if pace.fair is None else min(pace.fair, pace.capacity)
    if pace.budget is None:
        return pace.capacity, 0, 0, fair
    count, seconds = pace.budget
    burst = max(1, count // 10)
    return pace.capacity, seconds * 1000 / max(1, count - burst), burst, fair
