"""The clock: nudges what falls due, and sweeps what has ended. Any number of them may run."""

import asyncio

from processor.config import Settings
from processor.service.context import Context
from processor.service.running import context, main, patiently, ready

TICK = 0.2  # seconds at most between looks: new work may be due before what we last saw
SWEEP = 60.0  # seconds between sweeps


async def run(settings: Settings) -> None:
    """Nudge for ever."""
    async with context(settings) as ours:
        await ready(ours.store, "clock")
        await asyncio.gather(
            patiently("clock", lambda: tick(ours)), patiently("sweep", lambda: sweep(ours))
        )


async def tick(ours: Context) -> float:
    """Nudge what is due; how long to wait."""
    wait = await ours.store.backlogs.tick()
    return TICK if wait is None else min(wait, TICK)


async def sweep(ours: Context) -> float:
    """Forget what has ended; how long to wait."""
    await ours.store.connection.synchronise()
    await ours.store.jobs.sweep(await ours.store.now())
    return SWEEP


if __name__ == "__main__":
    main(run)
