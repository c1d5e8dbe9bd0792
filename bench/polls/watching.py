"""Section: 100,000 watched jobs, one worker and one clock: how late polls leave, and what it costs.

The polls of the jobs are spread over the time that gives each rate: none, half, and all of 200 a
second. A poll is late by the time from when it was due to when the provider had it.
"""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
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
SETTLE = 20.0  # seconds for the processes to start …
LEAST = 5.0  # … in a trial, too
PATIENCE = 10.0  # seconds after which the section fails if a poll has not left
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
            jobs = map(str, range(count))
            with stores.polling(store) as pids:
                # After a start all jobs are looked at once.
                await asyncio.sleep(max(runner.seconds(SETTLE), LEAST))
                found = [await at_rate(runner, provider, store, pids, jobs, r) for r in RATES]
    rows = [
        (
            f"{rate}",
            *(f"{row[name]:.2f} %" for name in ("worker", "clock", "redis")),
            f"{row['memory']:.0f} MiB",
            f"{row['p50'] * 1000:.0f} ms" if row["polls"] else "-",
            f"{row['p99'] * 1000:.0f} ms" if row["polls"] else "-",
        )
        for rate, row in zip(RATES, found, strict=True)
    ]
    head = ("polls a second", "worker, of a core", "clock", "Redis", "worker", "late: p50", "p99")
    line = f"A watched job takes {each:,.0f} bytes of Redis' memory, and none of a worker's."
    late = [row["p99"] for row in found if row["polls"]]
    text = f"{count:,} watched jobs: 99 % of the polls leave within a second"
    claims = [Claim(text, f"{max(late):.3f} s", max(late) <= LATE)]
    figures = {"rates": found, "bytes a job": each}
    return Result([report.table(head, rows), line], claims, figures)


async def at_rate(  # noqa: PLR0917 - what `measure` has at hand
    runner: Runner,
    provider: Provider,
    store: Stored,
    pids: dict[str, int],
    jobs: Iterator[str],
    rate: int,
) -> dict[str, float]:
    """Return what a rate of polls costs, and how late they are (seconds)."""
    begins, seconds = time.time() + 1.0, runner.seconds(SECONDS)
    times = {job: begins + n / rate for n, job in enumerate(islice(jobs, int(rate * seconds)))}
    stores.plan(store, times, SOURCES)
    await asyncio.sleep(begins - time.time())
    before = stores.used(pids)
    await asyncio.sleep(seconds)
    after, memory = stores.used(pids), resident(pids["worker"])
    asked = await arrivals(provider, len(times))
    late = sorted(asked[job] - at for job, at in times.items()) or [0.0]
    shares = {name: 100 * (after[name] - before[name]) / seconds for name in pids}
    say(f"{rate} a second: {len(times)} polls, worker {shares['worker']:.1f} % of a core")
    return shares | {
        "memory": memory,
        "polls": len(times),
        "p50": latency.percentile(late, 0.5),
        "p99": latency.percentile(late, 0.99),
    }


async def arrivals(provider: Provider, count: int) -> dict[str, float]:
    """Return when each of so many jobs was first asked about."""
    found: dict[str, float] = {}
    async with asyncio.timeout(PATIENCE):
        while True:
            found = dict(reversed(await asyncio.to_thread(provider.asked))) | found
            if len(found) == count:
                return found
            await asyncio.sleep(0.1)


def resident(pid: int) -> float:
    """Return the memory that a process has, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
