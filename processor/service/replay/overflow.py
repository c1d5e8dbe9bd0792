"""Brings subscriptions what was left in the event log while too much waited for them.

Commits leave events there while `Retention.waiting` deliveries of a subscription wait, and from then on
all of them, so that order holds, until it has caught up. What is brought twice has one name, and
what has ended is not brought again, so any number of processes may do this at once.
"""

import structlog

from processor.errors import WrongKeyType
from processor.model import Subscription
from processor.payload import utc
from processor.service.replay.plan import Plan
from processor.service.replay.scan_log import scan
from processor.service.runtime.context import Context
from processor.store.keys import Keys
from processor.store.memory_budget import MOST
from processor.store.stream_ids import told_at

EVERY = 1.0  # seconds between looks
SOON = 0.25  # where memory is short, so that little is brought by each
ROUNDS = 20  # of one look, while commits leave more

log = structlog.get_logger()


async def catch_up(context: Context) -> float:
    """Bring what has room now; how long to wait before the next look."""
    wrong: WrongKeyType | None = None
    behind = False
    await context.store.memory.refresh()
    for keys in context.store.shards:
        for target, place in (await context.store.deliveries.overflow(keys)).items():
            behind = True
            try:
                await _catch_up(context, keys, target, place)
            except WrongKeyType as error:  # of one event or subscription: the others go on
                wrong = error
    if wrong:
        raise wrong
    return SOON if behind and context.store.memory.short else EVERY


async def _catch_up(context: Context, keys: Keys, target: str, place: str) -> None:
    """Go on from a place, until nothing is left or the lane is full again."""
    store = context.store
    ends = await store.events.end()  # before we look: what is told behind it may find it enabled
    found = await store.subscriptions.get(target)
    if found is None or found.disabled:  # it gets nothing; a replay brings this too
        await store.deliveries.advance_overflow(keys, target, ends[keys.shard])
        return
    most = MOST if store.memory.short else store.keep.waiting
    if await store.redeliveries.waiting(keys, target) > most // 2:
        return  # a walk is worth while when it brings many
    server = await store.fleet.server()
    for _ in range(ROUNDS):
        place, over = await _bring(context, keys, found, place)
        if await store.fleet.server() != server:
            return  # what was put may be lost with the one before: it is brought again
        if await store.deliveries.advance_overflow(keys, target, place) or not over:
            return


async def _bring(
    context: Context, keys: Keys, target: Subscription, place: str
) -> tuple[str, bool]:
    """Walk one shard's log to its end; the place that was reached, and whether it is the end."""
    events = context.store.events
    ends = await events.end()
    starts = [place if n == keys.shard else end for n, end in enumerate(ends)]
    trimmed, _ = await events.oldest(keys)
    if trimmed is not None and trimmed > told_at(place):
        log.error("events_lost", subscription=target.id, before=str(utc(trimmed)))
    done = await scan(context, Plan(target, starts, ends, later=False))
    log.info(
        "overflow_delivered", subscription=target.id, queued=done.queued, whole=done.next is None
    )
    reached = events.places(done.next) if done.next else ends
    return reached[keys.shard], done.next is None
