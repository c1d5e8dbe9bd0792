"""Section: polls a second of a worker process, beside a bare loop of GETs in the same round.

Jobs of four sources are always due, and their answers bring nothing new, as those of most polls. The
worker has a clock and a Redis beside it; the loop has both cores to itself and the provider.
"""

import asyncio
import sys

from bench import processes, report
from bench.polls import store as stores
from bench.polls.provider import Provider
from bench.report import Result
from bench.runner import Runner, rotated, say

ROUNDS = 3
JOBS = 5_000
SOURCES = 4
EVERY = 0.1  # seconds: far less than a round of all jobs takes
WARM_UP = 3.0  # seconds
SECONDS = 6.0
GOAL = 0.5  # of the loop's rate


async def worker(runner: Runner, provider: Provider) -> dict[str, float]:
    """Return polls a second, and µs of each process that a poll takes."""
    with runner.folder("polls") as folder:
        async with stores.stored(folder, provider.url, sources=SOURCES, every=EVERY) as store:
            count = runner.size(JOBS)
            await stores.fill(store, count, SOURCES)
            stores.plan(store, {str(n): 0.0 for n in range(count)}, SOURCES)
            with stores.polling(store) as pids:
                return await measured(runner, provider, pids)


async def loop(runner: Runner, provider: Provider) -> dict[str, float]:
    """Return the same of the bare loop."""
    with runner.folder("loop") as folder:
        argv = [sys.executable, "-m", "bench.polls.bare_loop"]
        with processes.child(argv, folder / "loop.log", {"BENCH_LOOP": provider.url}) as child:
            return await measured(runner, provider, {"worker": child.pid})


async def measured(runner: Runner, provider: Provider, pids: dict[str, int]) -> dict[str, float]:
    """Return polls a second, and µs a poll of each process, after a warm-up."""
    await asyncio.sleep(WARM_UP)
    await asyncio.to_thread(provider.asked)
    before, seconds = stores.used(pids), max(runner.seconds(SECONDS), 1.0)
    await asyncio.sleep(seconds)
    polls, after = len(await asyncio.to_thread(provider.asked)), stores.used(pids)
    if not polls:
        raise RuntimeError("nothing was polled")
    costs = {name: (after[name] - before[name]) / polls * 1e6 for name in pids}
    return {"rate": polls / seconds} | costs


async def measure(runner: Runner) -> Result:
    """Measure both once a round."""
    contenders = {"worker": worker, "loop": loop}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    with Provider.started() as provider:
        for number in range(runner.rounds(ROUNDS)):
            for name in rotated(list(contenders), number):
                found[name].append(await contenders[name](runner, provider))
                say(f"{name:8} {found[name][-1]['rate']:7,.0f} polls/s")
    rates = {name: [row["rate"] for row in rows] for name, rows in found.items()}
    ratios = report.divided(rates["worker"], rates["loop"])
    rows = [
        (
            name,
            report.spread(rates[name], ",.0f"),
            report.spread([row["worker"] for row in rows], ".0f"),
            report.spread([row["redis"] for row in rows if "redis" in row], ".0f"),
        )
        for name, rows in found.items()
    ]
    table = report.table(("polls", "a second", "µs of its process", "of Redis"), rows)
    goal = report.at_least("a worker polls at least half as fast as a loop", ratios, GOAL, ".2f")
    return Result([table], goal, found)
