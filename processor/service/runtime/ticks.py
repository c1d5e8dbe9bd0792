"""The pauses of periodic tasks: those of one process end together, so that it wakes seldom.

A process that wakes for one task, and soon again for the next, pays each time for its cold caches:
the same call costs three times as much as right after another one.
"""

import asyncio
import time

TICK = 0.2  # seconds
EARLY = 0.01  # seconds that a timer of the loop may be early, and a tick therefore late

# Each process has ticks of its own, so that not all of them wake together.
_STARTED = time.monotonic()


async def pause(seconds: float) -> None:
    """Sleep until the last tick within these seconds; shorter pauses are exact."""
    await asyncio.sleep(until_tick(asyncio.get_running_loop().time() - _STARTED, seconds))


def until_tick(now: float, seconds: float) -> float:
    """Seconds from `now` to the last tick within `seconds`, or `seconds` if less than a tick."""
    if seconds < TICK:
        return seconds
    return (now + seconds + EARLY) // TICK * TICK - now
