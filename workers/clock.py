"""The clock: nudges what falls due, sweeps what has ended, brings what was left in the log.

Any number of them may run.
"""

import asyncio
from functools import partial

import structlog

from processor.config import Settings
from processor.service.catching import catch_up
from processor.service.context import Context
from processor.service.redis_check import RedisCheck
from processor.service.running import Outage, context, main, patiently, ready
from processor.service.store_watch import watched

TICK = 0.2  # seconds at most between looks: new work may be due before what we last saw
SWEEP = 60.0  # seconds between sweeps
REPAIR = 4.0  # seconds between looks at whether all shards have the same subscriptions

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Nudge for ever."""
    async with context(settings) as ours:
        outage = Outage("clock")
        await ready(ours.store, outage)
        asking = [patiently(outage, partial(step, ours)) for step in (tick, sweep, trim, catch_up)]
        asking.append(patiently(outage, RedisCheck(ours.store, "clock").look))
        repairing = patiently(outage, partial(repair, ours), asks=False)  # one shard needs none
        async with watched(ours, "clock") as watching:
            await asyncio.gather(watching, repairing, *asking)


async def tick(ours: Context) -> float:
    """Nudge what is due; how long to wait."""
    wait = await ours.store.backlogs.tick()
    return TICK if wait is None else min(wait, TICK)


async def sweep(ours: Context) -> float:
    """Forget what has ended; how long to wait."""
    await ours.store.connection.synchronise()
    await ours.store.jobs.sweep(await ours.store.now())
    return SWEEP


async def trim(ours: Context) -> float:
    """Forget events that are too old or too many; how long to wait."""
    await ours.store.events.trim(await ours.store.now())
    return SWEEP


async def repair(ours: Context) -> float:
    """Finish changes of subscriptions that were cut between two shards; how long to wait."""
    done = await ours.store.targets.repair()
    if done:
        log.warning("subscriptions_repaired", subscriptions=done)
    return REPAIR


if __name__ == "__main__":
    main(run)
