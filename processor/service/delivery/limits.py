"""What each subscription may get at once, and how fast: what it was set to, as of a moment ago."""

from typing import NamedTuple

from processor.durations import rate
from processor.model import CONCURRENCY, Subscription
from processor.service.runtime.context import Context


class Limit(NamedTuple):
    """How many deliveries may be under way, and how many may start in how many seconds."""

    concurrency: int = CONCURRENCY
    budget: tuple[int, float] | None = None


NEW = Limit(1)  # nothing is exceeded with that, whatever the lane was set to


class Limits:
    """The limits of all subscriptions, known without asking.

    One that was made since the last look gets a single delivery, and has the next look come soon.
    """

    def __init__(self, context: Context) -> None:
        """Know nobody."""
        self._store = context.store
        self._known: dict[str, Limit] = {}
        self._version = ""
        self._most = part(Limit(), len(self._store.shards))
        self.new: set[str] = set()  # lanes that were seen before they were known

    def of(self, lane: str) -> Limit:
        """What a lane may get; callbacks have no settings of their own."""
        if lane.startswith("sub_") and lane not in self._known:
            self.new.add(lane)
            return NEW
        return self._known.get(lane, self._most)

    def forget(self) -> None:
        """Know nobody: what was known is of data that was replaced."""
        self._known.clear()
        self._version = ""
        self.new.clear()

    async def look(self) -> None:
        """See what changed, and who is new. What waits for one that is gone is only canceled."""
        new = frozenset(self.new)
        router = await self._store.subscriptions.current(self._store.shards[0])
        for target in router.listed:
            if target.id in new:
                await self._go_on(target)
        if router.version != self._version:
            self._version, shards = router.version, len(self._store.shards)
            self._known = {s.id: part(limit_of(s), shards) for s in router.listed}
        self._known |= dict.fromkeys(new - self._known.keys(), self._most)
        self.new -= new

    async def _go_on(self, target: Subscription) -> None:
        """Have the second delivery start now, or when the rate allows it: the first took none of that.

        Else it would start when the first has ended.
        """
        if await self._store.backlogs.parked("deliver", target.id):
            return  # it rests for its own reasons, or another process has met it
        count, seconds = rate(target.rate) if target.rate else (1, 0.0)
        at = await self._store.now() + seconds / count
        await self._store.backlogs.park("deliver", target.id, at)


def limit_of(target: Subscription) -> Limit:
    """What a subscription was set to."""
    return Limit(target.concurrency, rate(target.rate) if target.rate else None)


def part(whole: Limit, shards: int) -> Limit:
    """One shard's part of a limit: at least one at a time, and less often where that is more."""
    concurrency = max(whole.concurrency // shards, 1)
    if whole.budget is None:
        return Limit(concurrency)
    count, seconds = whole.budget
    some = max(count // shards, 1)
    return Limit(concurrency, (some, seconds * shards * some / count))
