"""The clock: wakes workers for work that is due (a nudge), removes what has expired, delivers what is in
overflow, has all jobs polled after trouble.

Any number of clocks may run.
"""

import asyncio
from functools import partial

import structlog

from processor.config import Settings
from processor.service.groups.member_ends import recheck_all
from processor.service.polling.after_trouble import AfterTrouble
from processor.service.replay.overflow import catch_up
from processor.service.runtime.context import Context
from processor.service.runtime.outage import Outage, run_periodically, wait_until_ready
from processor.service.runtime.process import main, open_context
from processor.service.runtime.redis_check import RedisCheck
from processor.service.runtime.store_watch import watching_store

CLOCK_CHECK_INTERVAL = 1.0  # seconds between readings of Redis' clock
MAX_NUDGE_INTERVAL = 0.2  # seconds: new work may be due before the work that we know of
SWEEP_INTERVAL = 60.0  # seconds
REPAIR_INTERVAL = 4.0  # seconds

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Run until the process is stopped."""
    async with open_context(settings) as context:
        outage = Outage("clock")
        await wait_until_ready(context.store, outage)
        calling = [nudge_due, sweep, trim, catch_up, follow_clock, end_leases]
        tasks = [run_periodically(outage, partial(step, context)) for step in calling]
        after_trouble = AfterTrouble(context, recheck_all)
        tasks.append(run_periodically(outage, after_trouble.check, calls_redis=False))
        tasks.append(run_periodically(outage, RedisCheck(context.store, "clock").check))
        # With one shard there is nothing to repair, so this does not show that Redis is there.
        tasks.append(run_periodically(outage, partial(repair, context), calls_redis=False))
        async with watching_store(context, "clock") as watching:
            await asyncio.gather(watching, *tasks)


async def nudge_due(context: Context) -> float:
    """Nudge due work; the seconds to wait."""
    wait = await context.store.backlogs.nudge_due()
    return MAX_NUDGE_INTERVAL if wait is None else min(wait, MAX_NUDGE_INTERVAL)


async def sweep(context: Context) -> float:
    """Remove jobs whose keys have expired from the list of jobs; the seconds to wait."""
    await context.store.connection.synchronise()
    now = await context.store.now()
    await context.store.jobs.sweep(now)
    await context.store.groups.sweep(now)
    return SWEEP_INTERVAL


async def trim(context: Context) -> float:
    """Remove events that are too old or too many; the seconds to wait."""
    await context.store.events.trim(await context.store.now())
    return SWEEP_INTERVAL


async def follow_clock(context: Context) -> float:
    """Log that Redis' clock was set; undo a step back in the due times. The seconds to wait."""
    steps = context.store.clock_steps
    seconds = await steps.check()
    if seconds:
        log.warning("redis_clock_stepped", seconds=round(seconds, 1))
    if await steps.undo():
        log.info("redis_clock_step_undone")
    return CLOCK_CHECK_INTERVAL


async def end_leases(context: Context) -> float:
    """End leases that became too long when the clock was set back; the seconds to wait."""
    await context.store.clock_steps.end_leases()
    return context.settings.lease + CLOCK_CHECK_INTERVAL


async def repair(context: Context) -> float:
    """Finish changes of subscriptions that reached only some shards; the seconds to wait."""
    done = await context.store.subscriptions.repair()
    if done:
        log.warning("subscriptions_repaired", subscriptions=done)
    return REPAIR_INTERVAL


if __name__ == "__main__":
    main(run)
