"""The concurrency limit and the rate limit of each subscription, as of its last refresh."""

from typing import NamedTuple

from processor.durations import parse_rate
from processor.model import Subscription
from processor.schedule import shard_part
from processor.service.runtime.context import Context
from processor.service.subscriptions.ids import may_be_new
from processor.subscription_settings import MAX_CONCURRENCY


class Limit(NamedTuple):
    """How many deliveries may run at the same time, and how many may start in how many seconds."""

    concurrency: int = MAX_CONCURRENCY
    budget: tuple[int, float] | None = None


UNKNOWN_LANE = Limit(1)  # exceeds no concurrency; what it starts is charged once the rate is known


class Limits:
    """The limits of all subscriptions, known without asking Redis.

    A subscription that was made since the last refresh gets a single delivery, and causes an early refresh.
    """

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._known: dict[str, Limit] = {}
        self._version = ""
        self._default = per_shard(Limit(), len(self._store.shards))
        self.unknown_lanes: set[str] = set()  # claimed from before their limits were known

    def knows(self, lane: str) -> bool:
        """Whether the limit of a lane is known; callbacks have no settings of their own."""
        return lane in self._known or not lane.startswith("sub_")

    def for_lane(self, lane: str) -> Limit:
        """The limit of a lane; one that is not known is read soon."""
        if not self.knows(lane):
            self.unknown_lanes.add(lane)
            return UNKNOWN_LANE
        return self._known.get(lane, self._default)

    def forget(self) -> None:
        """Forget all limits, since the data of Redis was replaced."""
        self._known.clear()
        self._version = ""
        self.unknown_lanes.clear()

    async def refresh(self) -> None:
        """Read the limits that changed, and those of unknown lanes.

        The deliveries of a removed subscription are only canceled, so it gets the default.
        """
        unknown = frozenset(self.unknown_lanes)
        router = await self._store.subscriptions.current(self._store.shards[0])
        if router.version != self._version:
            self._version, shards = router.version, len(self._store.shards)
            self._known = {s.id: per_shard(limit_of(s), shards) for s in router.listed}
        self._known |= dict.fromkeys(unknown - self._known.keys(), self._default)
        for lane in unknown:
            await self._recheck(lane)
        self.unknown_lanes -= unknown

    async def _recheck(self, lane: str) -> None:
        """Let the next delivery of a lane start as soon as its limits, which are known now, allow it.

        The delivery that was started without its rate counts in it. What was stored of a rate is
        forgotten if it has none, since nothing else would remove it; one of a newer file may have one.
        """
        budget, now = self._known.get(lane, self._default).budget, await self._store.now()
        await self._store.backlogs.recheck(
            "deliver",
            lane,
            unlimited=budget is None and not may_be_new(lane, now, now),
            charge=budget[1] / budget[0] if budget else 0.0,
        )


def limit_of(target: Subscription) -> Limit:
    """The limit that a subscription is configured with."""
    return Limit(target.concurrency, parse_rate(target.rate) if target.rate else None)


def per_shard(whole: Limit, shards: int) -> Limit:
    """One shard's part of a limit: at least one at a time, and less often where that is more."""
    concurrency = shard_part(whole.concurrency, shards)
    if whole.budget is None:
        return Limit(concurrency)
    count, seconds = whole.budget
    part = shard_part(count, shards)
    return Limit(concurrency, (part, seconds * shards * part / count))
