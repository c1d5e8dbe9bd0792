"""`python bench/listeners.py`: what listeners of /v1/events cost while nothing is told, and what
telling them costs.

One web process, one worker and the clock on an append-only Redis. A run opens so many
listeners, lets them idle for whole periods of the ping, pushes steadily, then a burst. Each
size runs once a round, on fresh processes and an empty store.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import listeners_load
import listeners_report
import processes
import uvloop
from listeners_report import Cost
from listeners_running import Running, crowd, running

from processor.web.stream import PING

SETTLE = 2.0  # seconds for the work of starting and warming up to end


async def measure(folder: Path, run: int, count: int, options: argparse.Namespace) -> Cost:
    """Do one run."""
    pusher = listeners_load.Pusher(run)
    async with running(folder) as ours:
        await pusher.connect(ours.port)
        await asyncio.sleep(SETTLE)
        memory = ours.memory()
        async with crowd(ours.port, count) as ask:
            opened = await ask()
            memory = ours.memory() - memory
            idle, redis = await idling(ours, options.pings * PING)
            connected = await ours.connections()
            steady, told = await telling(
                ours, ask, pusher.steadily(options.rate, options.events), options.events
            )
            took = sorted(pusher.took)
            began = time.perf_counter()
            burst, last = await telling(ours, ask, pusher.at_once(options.burst), options.burst)
            delays = sorted(
                1000 * (at - pusher.answered[job]) for job, ats in told.items() for at in ats
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


async def telling(
    ours: Running, ask: Callable[..., Any], pushes: Coroutine[Any, Any, None], events: int
) -> tuple[float, dict[str, list[float]]]:
    """Push; return the processor time until all listeners had all, and when each event came."""
    before = ours.cpu()
    await pushes
    came = await ask(f"{events}\n")
    await asyncio.sleep(SETTLE / 4)  # what the receiver does behind the last write
    return ours.cpu() - before, came


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python bench/listeners.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--listeners", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--pings", type=int, default=1, help="periods of the ping to idle for")
    parser.add_argument("--rate", type=float, default=40, help="pushes a second, one in 20 told")
    parser.add_argument("--events", type=int, default=20, help="told under the steady load")
    parser.add_argument("--burst", type=int, default=50, help="events pushed at once")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything shares")
    parser.add_argument("--limit", type=float, default=900, help="seconds after which it fails")
    parser.add_argument("--out", type=Path, help="keep every figure here, as JSON")
    return parser.parse_args()


async def rounds(options: argparse.Namespace) -> dict[int, list[Cost]]:
    """Run each size once a round."""
    found: dict[int, list[Cost]] = defaultdict(list)
    for number in range(options.rounds):
        for count in (0, *options.listeners):
            sys.stderr.write(f"round {number + 1}: {count} listeners\n")
            with tempfile.TemporaryDirectory() as folder:
                run = sum(map(len, found.values())) + 1
                try:
                    found[count].append(await measure(Path(folder), run, count, options))
                except Exception:
                    sys.stderr.write(processes.last_words(Path(folder)) + "\n")
                    raise
    return found


async def main(options: argparse.Namespace) -> None:
    """Run the bench; SIGTERM ends it as Ctrl-C does, with every child."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    processes.adopt_orphans()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for the children, too
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    async with asyncio.timeout(options.limit):
        found = await rounds(options)
    sys.stdout.write(listeners_report.document(found, options.events, options.burst) + "\n")
    if options.out:
        runs = {count: [one._asdict() for one in done] for count, done in found.items()}
        options.out.write_text(json.dumps(runs, indent=1))


if __name__ == "__main__":
    uvloop.run(main(arguments()))
