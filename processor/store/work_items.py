"""The nouns of a backlog: items that wait in lanes, claims of them, and how those were settled."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from processor.model import JobOrder
from processor.store.keys import Keys


class LaneLimits(msgspec.Struct, frozen=True):
    """How many items of a lane may be held at once, and how fast they may be started."""

    capacity: int
    budget: tuple[int, float] | None = None  # so many items in so many seconds
    fair: int | None = None  # at most so many for this process, however many are free

    def args(self) -> tuple[int, float, int, int]:
        """Capacity, ms per item (0: no budget), burst (items at once), this process's share.

        A tenth of the budget may start at once and nine tenths flow, so that no span of it ever
        has more than the whole budget.
        """
        share = self.capacity if self.fair is None else min(self.fair, self.capacity)
        if self.budget is None:
            return self.capacity, 0, 0, share
        count, seconds = self.budget
        burst = max(1, count // 10)
        return self.capacity, seconds * 1000 / max(1, count - burst), burst, share


class Room(msgspec.Struct, frozen=True):
    """How much a worker can claim at once: `limit` items, until their payloads have `size` bytes.

    `limits` are those of each lane; None for a lane from which it claims nothing now.
    """

    limit: int
    size: int
    limits: Callable[[str], LaneLimits | None]


class Claim(msgspec.Struct):
    """An item that this process holds until its lease ends; renewing it changes the token."""

    shard: int
    backlog: str
    lane: str
    item: str
    payload: bytes
    token: int
    due: int = 0  # ms: since when it was due; 0 if that is not known
    record: bytes | None = None  # an update's job, as it was stored then; None if it was not read


def claims_of(keys: Keys, backlog: str, rows: Sequence[Any]) -> list[Claim]:
    """The claims that a script returned: lane, item, payload, token and due time of each."""
    return [
        Claim(keys.shard, backlog, lane.decode(), item.decode(), payload, token, int(float(due)))
        for lane, item, payload, token, due in zip(*(iter(rows),) * 5, strict=True)
    ]


class Busy(msgspec.Struct, frozen=True):
    """Why an item may not start in a lane now."""

    reason: str  # paused, claimed (the item is, already) or full


NOW = 0.0  # as the time of an item: whatever Redis' clock shows


class WorkItem(msgspec.Struct, frozen=True):
    """An item to wait in a lane until `at` (seconds), or until earlier ones of its order ended.

    It replaces an item of the same name, unless that already waits in the order.
    """

    backlog: str
    lane: str
    item: str
    at: float
    payload: bytes
    order: JobOrder | None = None


class Settlement(msgspec.Struct, frozen=True):
    """How a claim ended: for good (`at` is None), or postponed with another payload."""

    claim: Claim
    at: float | None = None
    payload: bytes = b""
    failed: bool = False  # postponed because it failed: items that were never tried go first
    order: JobOrder | None = None
    may_be_skipped: bool = False  # postponed, and later deliveries of its job may overtake it
    requires_token: bool = False  # settle only if our lease token still matches, as if postponed
    event: str | None = None  # of a delivery: the event that has one delivery less to make
    target: str | None = None  # whose list of ended deliveries gets `record`
    record: bytes | None = None
    delivered: bool = False  # no replay needed: the target got the event, or a later one
