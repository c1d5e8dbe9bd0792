"""Section: listeners of /v1/events, while nothing happens and while they get events.

One web process, one worker and the clock on an append-only Redis. A run opens so many listeners,
lets them idle for a period of the ping, pushes steadily, then a burst. Each number of listeners
runs once a round.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from bench import processes
from bench.listeners import pushes, report as listeners_report
from bench.listeners.report import Cost
from bench.listeners.running import Running, crowd, running
from bench.report import Result
from bench.runner import Runner, say
from processor.web.sse import PING_INTERVAL

ROUNDS = 3
LISTENERS = (1000, 4000)
RATE = 40.0  # pushes a second; one in 20 causes an event
EVENTS = 20  # under the steady load
BURST = 50  # events pushed at once
SETTLE = 2.0  # seconds for the work of starting and warming up to end


async def measure(runner: Runner) -> Result:
    """Run each number of listeners once a round, and none."""
    counts = [0, *map(runner.size, LISTENERS)]
    found: dict[int, list[Cost]] = {count: [] for count in counts}
    for number in range(runner.rounds(ROUNDS)):
        for count in counts:
            say(f"round {number + 1}: {count} listeners")
            runner.driver.run += 1
            with runner.folder("listeners") as folder:
                found[count].append(await once(folder, runner.driver.run, count))
    figures = {count: [one._asdict() for one in done] for count, done in found.items()}
    return Result(listeners_report.tables(found, EVENTS, BURST), [], figures)


async def once(folder: Path, run: int, count: int) -> Cost:
    """Do one run."""
    pusher = pushes.Pusher(run)
    async with running(folder) as ours:
        await pusher.connect(ours.port)
        await asyncio.sleep(SETTLE)
        memory = ours.memory()
        async with crowd(ours.port, count) as ask:
            opened = await ask()
            memory = ours.memory() - memory
            idle, redis = await idling(ours, PING_INTERVAL)
            connected = await ours.connections()
            steady, came = await with_events(ours, ask, pusher.steadily(RATE, EVENTS), EVENTS)
            took = sorted(pusher.took)
            began = time.perf_counter()
            burst, last = await with_events(ours, ask, pusher.at_once(BURST), BURST)
            delays = sorted(
                1000 * (at - pusher.answered[job]) for job, ats in came.items() for at in ats
            )
            end = max((at for ats in last.values() for at in ats), default=began)
            pusher.close()
    return Cost(opened, memory, idle, redis, connected, took, delays, steady, burst, end - began)


async def idling(ours: Running, seconds: float) -> tuple[float, float]:
    """Wait; return what the web process and Redis took of a core, in percent."""
    await asyncio.sleep(SETTLE)
    web, redis = ours.cpu(), processes.cpu_seconds(ours.redis)
    await asyncio.sleep(seconds)
    web, redis = ours.cpu() - web, processes.cpu_seconds(ours.redis) - redis
    return 100 * web / seconds, 100 * redis / seconds


async def with_events(
    ours: Running, ask: Callable[..., Any], load: Coroutine[Any, Any, None], events: int
) -> tuple[float, dict[str, list[float]]]:
    """Push; return the processor time until all listeners had all, and when each event came."""
    before = ours.cpu()
    await load
    came = await ask(f"{events}\n")
    await asyncio.sleep(SETTLE / 4)  # what the receiver does behind the last write
    return ours.cpu() - before, came
