"""The clock: nudges what falls due, sweeps what has ended, brings what was left in the log.

Any number of them may run.
"""

import asyncio
from functools import partial

import structlog

from processor.config import Settings
from processor.service.replay.overflow import catch_up
from processor.service.runtime.context import Context
from processor.service.runtime.process import Outage, context, main, ready, run_periodically
from processor.service.runtime.redis_check import RedisCheck
from processor.service.runtime.store_watch import watched

LOOK_AT_CLOCK = 1.0  # seconds between looks at Redis' clock
TICK = 0.2  # seconds at most between looks: new work may be due before what we last saw
SWEEP = 60.0  # seconds between sweeps
REPAIR = 4.0  # seconds between looks at whether all shards have the same subscriptions

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Nudge for ever."""
    async with context(settings) as ours:
        outage = Outage("clock")
        await ready(ours.store, outage)
        asking = [
            run_periodically(outage, partial(step, ours)) for step in (tick, sweep, trim, catch_up)
        ]
        asking += [
            run_periodically(outage, partial(step, ours)) for step in (follow_clock, end_leases)
        ]
        asking.append(run_periodically(outage, RedisCheck(ours.store, "clock").look))
        repairing = run_periodically(
            outage, partial(repair, ours), asks=False
        )  # one shard needs none
        async with watched(ours, "clock") as watching:
            await asyncio.gather(watching, repairing, *asking)


async def tick(ours: Context) -> float:
    """Nudge what is due; how long to wait."""
    wait = await ours.store.backlogs.nudge_due()
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


async def follow_clock(ours: Context) -> float:
    """Notice that Redis' clock was set, and take a step back out of what waits; how long to wait."""
    steps = ours.store.clock_steps
    seconds = await steps.look()
    if seconds:
        log.warning("redis_clock_stepped", seconds=round(seconds, 1))
    if await steps.undo():
        log.info("redis_clock_step_undone")
    return LOOK_AT_CLOCK


async def end_leases(ours: Context) -> float:
    """End leases that the clock's step back made too long; how long to wait."""
    await ours.store.clock_steps.end_leases()
    return ours.settings.lease + LOOK_AT_CLOCK


async def repair(ours: Context) -> float:
    """Finish changes of subscriptions that were cut between two shards; how long to wait."""
    done = await ours.store.subscriptions.repair()
    if done:
        log.warning("subscriptions_repaired", subscriptions=done)
    return REPAIR


if __name__ == "__main__":
    main(run)
