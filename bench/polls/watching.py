"""Section: 100,000 watched jobs, one worker and one clock: how late polls leave, and what it costs.

The polls of the jobs are spread over the time that gives each rate: none, half, and all of 200 a
second. A poll is late by the time from when it was due to when the provider had it.
"""

import asyncio
import time
from pathlib import Path

from bench import report
from bench.load import latency
from bench.polls import store as stores
from bench.polls.provider import Provider
from bench.polls.store import Stored
from bench.report import Claim, Result
from bench.runner import Runner, say

JOBS = 100_000
RATES = (0, 100, 200)  # polls a second
SOURCES = 4
SECONDS = 20.0  # of each rate
SETTLE = 5.0  # seconds for the processes to start
LATE = 1.0  # seconds, at the 99th percentile
DAY = 86_400.0


async def measure(runner: Runner) -> Result:
    """Watch the jobs, then poll them at each rate."""
    count = runner.size(JOBS)
    with Provider.started() as provider, runner.folder("watching") as folder:
        async with stores.stored(folder, provider.url, sources=SOURCES, every=DAY) as store:
            before = store.redis.info("memory")["used_memory"]
            say(f"watching {count:,} jobs …")
            await stores.fill(store, count, SOURCES)
            each = (store.redis.info("memory")["used_memory"] - before) / count
            found = [await at_rate(runner, provider, store, count, rate) for rate in RATES]
    rows = [
        (
            f"{rate}",
            *(f"{row[name]:.2f} %" for name in ("worker", "clock", "redis")),
            f"{row['memory']:.0f} MiB",
            f"{row['p50'] * 1000:.0f} ms" if rate else "-",
            f"{row['p99'] * 1000:.0f} ms" if rate else "-",
        )
        for rate, row in zip(RATES, found, strict=True)
    ]
    head = ("polls a second", "worker, of a core", "clock", "Redis", "worker", "late: p50", "p99")
    line = f"A watched job takes {each:,.0f} bytes of Redis' memory, and none of a worker's."
    late = [row["p99"] for row in found if row["polls"]]
    text = f"{count:,} watched jobs: 99 % of the polls leave within a second"
    claims = [Claim(text, f"{max(late):.3f} s", max(late) <= LATE)] if late else []
    figures = {"rates": found, "bytes a job": each}
    return Result([report.table(head, rows), line], claims, figures)


async def at_rate(
    runner: Runner, provider: Provider, store: Stored, count: int, rate: float
) -> dict[str, float]:
    """Return what a rate of polls costs, and how late they are (seconds)."""
    begins, seconds = time.time() + SETTLE, runner.seconds(SECONDS)
    times = {str(n): begins + DAY for n in range(count)}
    due = min(int(rate * seconds), count)
    times |= {str(n): begins + n / rate for n in range(due)} if rate else {}
    stores.plan(store, times, SOURCES)
    with stores.polling(store) as pids:
        await asyncio.sleep(max(begins - time.time(), 0.0))
        before = stores.used(pids)
        await asyncio.sleep(seconds)
        after = stores.used(pids)
        memory = resident(pids["worker"])
        await asyncio.sleep(LATE)
    asked = dict(reversed(await asyncio.to_thread(provider.asked)))  # the first of each job
    if missing := {str(n) for n in range(due)} - asked.keys():
        raise RuntimeError(f"{len(missing)} of {due} polls did not leave in time")
    late = sorted(asked[job] - at for job, at in times.items() if job in asked)
    shares = {name: 100 * (after[name] - before[name]) / seconds for name in pids}
    late_by = {"p50": latency.percentile(late, 0.5), "p99": latency.percentile(late, 0.99)}
    say(f"{rate} a second: {len(late)} polls, worker {shares['worker']:.1f} % of a core")
    return (
        shares
        | {"memory": memory, "polls": len(late)}
        | (late_by if late else {"p50": 0, "p99": 0})
    )


def resident(pid: int) -> float:
    """Return the memory that a process has, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
