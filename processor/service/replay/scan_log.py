"""One walk through the event log in a subscription's name; it may stop anywhere, and begin anew.

What is put has the name that it would have had at once, EVENT.TARGET, so it waits at most once;
what is known to have arrived is not put.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from processor.model import ARRIVED, DEAD
from processor.payload import utc
from processor.service.events.publish import delivery_item
from processor.service.replay.plan import EventMatcher, Plan, ReplayResult, order_in
from processor.service.runtime.context import Context
from processor.store.events import Logged
from processor.store.keys import Keys
from processor.store.redeliveries import Again, Ended, Seen
from processor.store.reserve import delivery_price
from processor.store.stream_ids import told_at

PAGE = 500  # events looked at, and put, at once
MAX_EVENTS_SCANNED = 200_000  # events at most for one call
MIN_INTERVAL = (
    0.001  # seconds between two deliveries: in the log's order, and new ones come between
)


async def scan(context: Context, plan: Plan) -> ReplayResult:
    """Put what is wanted and did not arrive, as far as one call goes.

    It ends where too much was looked at, or too much waits in a shard.
    """
    places, done, looked_at = list(plan.starts), ReplayResult(), 0
    for keys in context.store.shards:
        shard = _ShardScan(context, keys, plan, done, MAX_EVENTS_SCANNED - looked_at)
        over = await shard.scan(places)
        looked_at += shard.looked_at
        if not over:
            done.next = context.store.events.cursor(places)
            break
    return done


class _ShardScan:
    """The walk through one shard's log."""

    def __init__(
        self, context: Context, keys: Keys, plan: Plan, done: ReplayResult, most: int
    ) -> None:
        """Know of no delivery yet; take how many events may be looked at."""
        self._context = context
        self._keys = keys
        self._plan = plan
        self._done = done
        self._most = most
        self.looked_at = 0
        self._wanting = EventMatcher(plan)
        self._ended: dict[str, Ended] = {}  # the newest record of each
        self._arrived: set[str] = set()
        self._met: set[str] = set()
        self._seen = Seen()
        self._next_at = 0.0

    async def scan(self, places: list[str]) -> bool:
        """Go on from a place to the end, moving the place along; False if that was too far."""
        self._next_at = await self._context.store.now()
        over = await self._go_on(places)
        await self._count_gone()
        return over

    async def _go_on(self, places: list[str]) -> bool:
        shard, events = self._keys.shard, self._context.store.events
        while self.looked_at < self._most:
            await self._look()
            room = await self._room()
            most = min(PAGE, max(room, 1))
            page = await events.between(self._keys, places[shard], self._plan.ends[shard], most)
            if not page:
                return True
            page = await self._fitting(page) if room > 0 else []
            if not page:
                return False
            await self._queue(list(self._chosen(page)))
            places[shard] = page[-1].place
            self.looked_at += len(page)
        return False

    async def _room(self) -> int:
        """How many more may wait: as many as commits leave room for."""
        store = self._context.store
        waiting = await store.redeliveries.waiting(self._keys, self._plan.target.id)
        return store.keep.waiting - waiting

    async def _fitting(self, page: list[Logged]) -> list[Logged]:
        """What of a page may wait now: of what is brought by itself little where memory is short."""
        store = self._context.store
        if self._plan.later or not page:
            return page
        largest = max(len(event.body) for event in page)
        router = await store.subscriptions.router(self._keys)
        price = len(page) * delivery_price(largest)
        most = await store.memory.may_wait(price, largest, len(router.active))
        if most is None:
            return page
        waiting = await store.redeliveries.waiting(self._keys, self._plan.target.id)
        return page[: max(0, most - waiting)]

    async def _look(self) -> None:
        """Read what has ended meanwhile."""
        replays, target = self._context.store.redeliveries, self._plan.target.id
        ended, self._seen = await replays.ended(self._keys, target, self._seen)
        self._ended.update((one.id, one) for one in ended)
        self._arrived.update(one.id for one in ended if one.state in ARRIVED)

    def _chosen(self, page: Iterable[Logged]) -> Iterable[Again]:
        """The events of a page that are to be put."""
        for event in page:
            item = f"{event.id}.{self._plan.target.id}"
            record = self._ended.get(item)
            if record:
                self._met.add(item)
            dead = record is not None and record.state in DEAD
            if (self._plan.failed and not dead) or not self._wanting(event):
                continue
            if record and not self._plan.later:
                continue  # brought before: only who asks gets it once more
            if item in self._arrived and not self._plan.again:
                self._done.delivered_before += 1
            else:
                yield self._again(event)

    def _again(self, event: Logged) -> Again:
        """The delivery as it would have been made when the event was told."""
        target, order = self._plan.target.id, order_in(self._plan.target, event)
        put = delivery_item(event.id, event.type, target, target, told_at(event.place), order=order)
        self._next_at += MIN_INTERVAL
        at = self._next_at if self._plan.later else told_at(event.place)
        return Again(replace(put, at=at), event.id, event.body)

    async def _queue(self, puts: Sequence[Again]) -> None:
        if not puts:
            return
        done = self._done
        if self._plan.later:  # it is asked for: it leaves room for what is accepted already
            price = sum(delivery_price(len(one.body)) for one in puts)
            async with self._context.store.memory.admitted(price):
                words = await self._put(puts)
        else:
            words = await self._put(puts)
        done.queued += words.count("queued")
        done.pending += words.count("pending")
        done.delivered_before += words.count("delivered")

    async def _put(self, puts: Sequence[Again]) -> list[str]:
        return await self._context.store.redeliveries.queue(
            self._keys,
            self._plan.target.id,
            self._seen,
            puts,
            again=self._plan.again,
            bounded=self._plan.later,
        )

    async def _count_gone(self) -> None:
        """Count what is known not to have arrived, and is in the log no more."""
        since = told_at(self._plan.starts[self._keys.shard])
        trimmed, oldest = await self._context.store.events.oldest(self._keys)
        if trimmed is None or trimmed < since:
            return
        if oldest is not None:
            self._done.oldest = max(utc(oldest), self._done.oldest or utc(oldest))
        until = told_at(self._plan.ends[self._keys.shard])
        self._done.gone += sum(
            since <= one.created_at <= min(until, oldest or until)
            and one.state in DEAD
            and one.type in self._wanting.kinds
            and one.id not in self._arrived | self._met
            for one in self._ended.values()
        )
