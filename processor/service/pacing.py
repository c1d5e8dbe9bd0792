"""What each subscription may get at once, and how fast: what it was set to, as of a moment ago."""

from typing import NamedTuple

from processor.durations import rate
from processor.model import CONCURRENCY, Subscription
from processor.service.context import Context


class Limit(NamedTuple):
    """How many deliveries may be under way, and how many may start in how many seconds."""

    concurrency: int = CONCURRENCY
    budget: tuple[int, float] | None = None


class Limits:
    """The limits of all subscriptions, known without asking.

    One that was made since the last look gets what it wants until the next.
    """

    def __init__(self, context: Context) -> None:
        """Know nobody."""
        self._store = context.store
        self._known: dict[str, Limit] = {}
        self._version = -1
        self._most = part(Limit(), len(self._store.shards))

    def of(self, lane: str) -> Limit:
        """What a lane may get; callbacks have no settings of their own."""
        return self._known.get(lane, self._most)

    async def look(self) -> None:
        """See what changed."""
        router = await self._store.targets.current(self._store.shards[0])
        if router.version != self._version:
            self._version, shards = router.version, len(self._store.shards)
            self._known = {s.id: part(limit_of(s), shards) for s in router.active}


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
