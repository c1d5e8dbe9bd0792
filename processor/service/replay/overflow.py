"""Overflow: delivers what stayed in the event log because too many deliveries of a subscription waited.

Once `Retention.waiting` deliveries of a subscription are pending, commits leave its events in the log only,
all of them, so that order holds, until it has caught up. A delivery that is enqueued twice has the same id,
and one that has ended is not enqueued again, so any number of processes may do this at once.
"""

from collections.abc import Sequence

import structlog

from processor.errors import WrongKeyType
from processor.model import Subscription
from processor.payload import utc
from processor.service.replay.plan import Plan
from processor.service.replay.scan_log import scan
from processor.service.runtime.context import Context
from processor.service.subscriptions.ids import may_be_new
from processor.store.keys import Keys
from processor.store.memory_budget import MOST
from processor.store.stream_ids import written_at

INTERVAL = 1.0  # seconds between two runs
SHORT_INTERVAL = 0.25  # while memory is short, and each run may enqueue only little
MAX_ROUNDS = 20  # of one run, while commits add to the overflow

log = structlog.get_logger()


async def catch_up(context: Context) -> float:
    """Enqueue as much overflow as has room now; returns the seconds until the next run."""
    failed: WrongKeyType | None = None
    found = False
    for keys in context.store.shards:
        for target, position in (await context.store.deliveries.overflow(keys)).items():
            found = True
            await context.store.memory.refresh()
            try:
                await _catch_up(context, keys, target, position)
            except WrongKeyType as error:  # of one event or subscription: the others go on
                failed = error
    if failed:
        raise failed
    return SHORT_INTERVAL if found and context.store.memory.short else INTERVAL


async def _catch_up(context: Context, keys: Keys, target: str, position: str) -> None:
    """Enqueue overflow from a position on, until none is left or the lane is full again."""
    store = context.store
    limit = MOST if store.memory.short else store.keep.waiting
    waiting = await store.redeliveries.waiting(keys, target)
    server = await store.fleet.server()
    for _ in range(MAX_ROUNDS):
        ends = await store.events.end()  # read first: it may be changed for later ones
        found = await store.subscriptions.get(target)
        if found is None and may_be_new(target, written_at(position), await store.now()):
            return
        if found is None or found.disabled:  # it receives nothing now; a replay finds these events
            await store.deliveries.advance_overflow(keys, target, ends[keys.shard])
            return
        if waiting > limit // 2:
            return  # a scan should have room for many
        position, count, complete = await _enqueue(context, keys, found, position, ends)
        if await store.fleet.server() != server:
            return  # Redis was replaced and may have lost deliveries: enqueue them again
        caught_up = await store.deliveries.advance_overflow(keys, target, position, count)
        if caught_up or not complete:
            return


async def _enqueue(
    context: Context, keys: Keys, target: Subscription, position: str, ends: Sequence[str]
) -> tuple[str, int, bool]:
    """Scan one shard's log up to `ends`; returns the position reached, how many deliveries there were
    up to it, and whether it is the end.
    """
    events = context.store.events
    starts = [position if n == keys.shard else end for n, end in enumerate(ends)]
    trimmed, _ = await events.oldest(keys)
    if trimmed is not None and trimmed > written_at(position):
        log.error("events_lost", subscription=target.id, before=str(utc(trimmed)))
    done = await scan(context, Plan(target, starts, ends, from_now=False))
    log.info(
        "overflow_delivered", subscription=target.id, queued=done.queued, whole=done.next is None
    )
    reached = events.read_cursor(done.next) if done.next else ends
    count = done.queued + done.pending + done.delivered_before
    return reached[keys.shard], count, done.next is None
