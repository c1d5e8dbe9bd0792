"""One scan of the event log for a subscription: enqueues what it wants and did not get.

It may stop anywhere and start again: a delivery has the id that it had at first, EVENT.TARGET, so
it is pending at most once; what is known to have arrived is not enqueued.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from processor.model import ARRIVED, DEAD
from processor.payload import utc
from processor.service.events.publish import delivery_item
from processor.service.replay.plan import EventMatcher, Plan, ReplayResult, job_of, order_in
from processor.service.runtime.context import Context
from processor.store.events import LoggedEvent
from processor.store.keys import Keys
from processor.store.redeliveries import Ended, ReadPosition, Redelivery
from processor.store.reserve import delivery_price
from processor.store.stream_ids import written_at

PAGE = 500  # events read, and enqueued, at once
MAX_EVENTS_SCANNED = 200_000  # in one call
CLOCKS_DIFFER = 1.0  # seconds at most, between Redis' clock and what a busy process takes it for
MIN_INTERVAL = 0.001
"""Seconds between the due times of two deliveries: it keeps the log's order, and lets new ones between."""


async def scan(context: Context, plan: Plan) -> ReplayResult:
    """Enqueue what is wanted and did not arrive.

    Stops after too many events, or when too many deliveries are pending in a shard; `next` of the
    result says where to continue.
    """
    positions, result, scanned = list(plan.starts), ReplayResult(), 0
    for keys in context.store.shards:
        shard = _ShardScan(context, keys, plan, result, MAX_EVENTS_SCANNED - scanned)
        complete = await shard.scan(positions)
        scanned += shard.scanned
        if not complete:
            result.next = context.store.events.cursor(positions)
            break
    return result


class _ShardScan:
    """The scan of one shard's log, up to `limit` events; it adds to `result`."""

    def __init__(
        self, context: Context, keys: Keys, plan: Plan, result: ReplayResult, limit: int
    ) -> None:
        self._context = context
        self._keys = keys
        self._plan = plan
        self._result = result
        self._limit = limit
        self.scanned = 0
        sources = context.settings.sources
        self._wants = EventMatcher(plan, {name: s.profile.name for name, s in sources.items()})
        self._ended: dict[str, Ended] = {}  # the newest record of each delivery
        self._arrived: set[str] = set()
        self._found_in_log: set[str] = set()  # ended deliveries whose events are still in the log
        self._seen = ReadPosition()
        self._due = 0.0  # of the delivery that was enqueued last

    async def scan(self, positions: list[str]) -> bool:
        """Scan from this shard's position to the end, and move the position; False if it stopped early."""
        self._due = await self._context.store.now()
        complete = await self._scan_pages(positions)
        await self._count_gone()
        return complete

    async def _scan_pages(self, positions: list[str]) -> bool:
        shard, events = self._keys.shard, self._context.store.events
        while self.scanned < self._limit:
            await self._read_ended()
            room = await self._room()
            count = min(PAGE, max(room, 1))
            page = await events.between(self._keys, positions[shard], self._plan.ends[shard], count)
            if not page:
                return True
            page = await self._affordable(page) if room > 0 else []
            if not page:
                return False
            await self._enqueue(list(self._selected(page)))
            positions[shard] = page[-1].position
            self.scanned += len(page)
        return False

    async def _room(self) -> int:
        """How many more deliveries may be pending before commits leave events as overflow."""
        store = self._context.store
        waiting = await store.redeliveries.waiting(self._keys, self._plan.target.id)
        return store.keep.waiting - waiting

    async def _affordable(self, page: list[LoggedEvent]) -> list[LoggedEvent]:
        """The events of a page that may be enqueued now: of overflow little while memory is short."""
        store = self._context.store
        if self._plan.from_now or not page:
            return page
        largest = max(len(event.body) for event in page)
        router = await store.subscriptions.router(self._keys)
        price = len(page) * delivery_price(largest)
        most = await store.memory.may_wait(price, largest, len(router.active))
        if most is None:
            return page
        waiting = await store.redeliveries.waiting(self._keys, self._plan.target.id)
        return page[: max(0, most - waiting)]

    async def _read_ended(self) -> None:
        """Read the records of deliveries that have ended since the last time."""
        redeliveries, target = self._context.store.redeliveries, self._plan.target.id
        ended, self._seen = await redeliveries.ended(self._keys, target, self._seen)
        self._ended.update((record.id, record) for record in ended)
        self._arrived.update(record.id for record in ended if record.state in ARRIVED)

    def _selected(self, page: Iterable[LoggedEvent]) -> Iterable[Redelivery]:
        """The deliveries to enqueue for a page of events."""
        for event in page:
            item = f"{event.id}.{self._plan.target.id}"
            record = self._ended.get(item)
            if record:
                self._found_in_log.add(item)
            dead = record is not None and record.state in DEAD
            if (self._plan.failed and not dead) or not self._wants(event):
                continue
            if record and not self._plan.from_now:
                continue  # delivered from the overflow before: repeated only on request
            if item in self._arrived and not self._plan.again:
                self._result.delivered_before += 1
            else:
                yield self._redelivery(event)

    def _redelivery(self, event: LoggedEvent) -> Redelivery:
        """The delivery as it would have been enqueued when the event was published."""
        target, order = self._plan.target.id, order_in(self._plan.target, event)
        item = delivery_item(
            event.id,
            event.type,
            target,
            target,
            written_at(event.position),
            order=order,
            job=job_of(event),
        )
        self._due += MIN_INTERVAL
        at = self._due if self._plan.from_now else written_at(event.position)
        return Redelivery(replace(item, at=at), event.id, event.body)

    async def _enqueue(self, deliveries: Sequence[Redelivery]) -> None:
        if not deliveries:
            return
        result = self._result
        if self._plan.from_now:  # on request: it must leave room for what is accepted already
            price = sum(delivery_price(len(delivery.body)) for delivery in deliveries)
            async with self._context.store.memory.admitted(price):
                states = await self._write(deliveries)
        else:
            states = await self._write(deliveries)
        result.queued += states.count("queued")
        result.pending += states.count("pending")
        result.delivered_before += states.count("delivered")

    async def _write(self, deliveries: Sequence[Redelivery]) -> list[str]:
        return await self._context.store.redeliveries.queue(
            self._keys,
            self._plan.target.id,
            self._seen,
            deliveries,
            again=self._plan.again,
            bounded=self._plan.from_now,
        )

    async def _count_gone(self) -> None:
        """Count the dead letters whose events are no longer in the log."""
        since = written_at(self._plan.starts[self._keys.shard])
        trimmed, oldest = await self._context.store.events.oldest(self._keys)
        if trimmed is None or trimmed < since:
            return
        if oldest is not None:
            self._result.oldest = max(utc(oldest), self._result.oldest or utc(oldest))
        until = written_at(self._plan.ends[self._keys.shard])
        self._result.gone += sum(
            since <= record.created_at <= min(until, (oldest or until) + CLOCKS_DIFFER)
            and record.state in DEAD
            and record.type in self._wants.types
            and record.id not in self._arrived | self._found_in_log
            for record in self._ended.values()
        )
