"""Section: where the time of a lone push goes, from its sending to its callback.

MONITOR shows when Redis begins each command; the pushes come so far apart that one has ended before
the next begins. MONITOR itself costs time, so the sum is more than the latency of other sections.
"""

import asyncio
import bisect
import time
from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from bench import report
from bench.contenders.ringback import ringback
from bench.contenders.running import Running
from bench.load import loadgen, workload
from bench.load.latency import LIGHT, LIGHT_CONNECTIONS, WARM, percentile, schedule
from bench.report import Result
from bench.runner import Runner
from processor.store.script_loader import bounded_scripts, scripts

SECONDS = 12.0
WAYPOINTS = (  # of a push, in order: the command, and what comes before it
    ("accept", "the receiver reads and verifies the push"),
    ("claim", "Redis accepts it and wakes a worker"),
    ("MGET", "the worker claims the update"),
    ("commit", "reads the job and decides"),
    ("callback", "commits, and posts the event"),
    ("settle", "the worker sees the answer"),
)


class Seen(NamedTuple):
    """A command that Redis began at a time (seconds since 1970)."""

    at: float
    name: str


async def measure(runner: Runner) -> Result:
    """Push at the light load, and watch Redis."""
    async with runner.start("ringback", ringback) as running:
        await runner.driver.warm_up(running, 0.0)
        ways = await watched(runner, running, runner.seconds(SECONDS))
    found = {name: [way[name] for way in ways if name in way] for name, _ in WAYPOINTS}
    rows = [
        (step, name, f"{percentile(sorted(took), 0.5):.2f}", f"{percentile(sorted(took), 0.9):.2f}")
        for name, step in WAYPOINTS
        if (took := found[name])
    ]
    head = ("a lone push: what happens", "until", "p50, ms", "p90, ms")
    return Result([report.table(head, rows)], [], found)


async def watched(runner: Runner, running: Running, seconds: float) -> list[dict[str, float]]:
    """Milliseconds of each step, by its end, for each push."""
    driver, count = runner.driver, WARM + int(seconds * LIGHT)
    run = driver.expect(count)
    pushes = [workload.push(run, number, final=True) for number in range(count)]
    load, seen = loadgen.Load(running.ports), list[Seen]()
    await load.connect(LIGHT_CONNECTIONS, iter(()))
    watching = asyncio.create_task(watch(running, seen))
    try:
        await asyncio.sleep(0.5)  # until MONITOR runs
        left = await loadgen.open_loop(load, schedule(run, LIGHT, pushes))
        await driver.sink.finished()
        await asyncio.sleep(0.2)  # for the last settlement
    finally:
        watching.cancel()
        load.close()
    shift = time.time() - time.perf_counter()
    ids = [workload.job_id(run, number) for number in range(WARM, count)]
    back = [driver.sink.seen[job] + shift for job in ids]
    sent = [at + shift for at in left[WARM:]]
    return [steps(seen, *times) for times in zip(sent, back, strict=True)]


async def watch(running: Running, seen: list[Seen]) -> None:
    """Note the commands that come from clients."""
    every = [*scripts().items(), *bounded_scripts().items()]
    names = {script.sha: name for name, script in every}
    async with Redis(unix_socket_path=str(running.socket)) as redis, redis.monitor() as monitor:
        async for command in monitor.listen():
            if command["client_type"] != "lua":
                name, _, rest = command["command"].partition(" ")
                name = names.get(rest[:40], name) if name == "EVALSHA" else name
                seen.append(Seen(command["time"], name))


def steps(seen: Sequence[Seen], sent: float, back: float) -> dict[str, float]:
    """Milliseconds from each waypoint to the next of one push; those that it passed."""
    passed: dict[str, float] = {}
    at = sent
    for name, _ in WAYPOINTS:
        then = back if name == "callback" else first_after(seen, name, at)
        if then is None:
            break
        passed[name] = 1000 * (then - at)
        at = then
    return passed


def first_after(seen: Sequence[Seen], name: str, at: float) -> float | None:
    """When the first command of this name began after a time."""
    start = bisect.bisect_left(seen, at, key=lambda one: one.at)
    return next((one.at for one in seen[start:] if one.name == name), None)
