"""Latency under light load: from a push leaving to its callback reaching the sink.

Open loop: pushes leave at their times, jittered so that they do not march in step with
anybody's poll interval, one push a job (succeeded). One clock, since load generator and
sink are one process.
"""

import random
from typing import NamedTuple

import contenders
import loadgen
import throughput
import workload

RATE = 20  # jobs per second
CONNECTIONS = 8  # enough that one is always free
WARM = RATE  # pushes at the beginning that are not counted


class Latency(NamedTuple):
    """Milliseconds from push to callback."""

    pushes: int
    p50: float
    p99: float
    worst: float


def percentile(ordered: list[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def schedule(run: int, count: int) -> list[tuple[float, bytes]]:
    """Return when each push leaves, evenly but for a jitter of half an interval."""
    jitter = random.Random(run)
    return [
        ((n + jitter.uniform(-0.5, 0.5) / 2) / RATE, workload.succeeded(workload.job_id(run, n)))
        for n in range(count)
    ]


async def measure(bench: throughput.Bench, running: contenders.Running, seconds: float) -> Latency:
    """Push at RATE for `seconds` and wait for every callback."""
    count = WARM + int(seconds * RATE)
    run = bench.expect(count)
    load = loadgen.Load(running.port)
    await load.connect(CONNECTIONS, iter(()))
    try:
        left = await loadgen.open_loop(load, schedule(run, count))
        await bench.sink.finished()
    finally:
        load.close()
    load.check()
    took = [bench.sink.seen[workload.job_id(run, n)] - left[n] for n in range(WARM, count)]
    ordered = sorted(1000 * seconds for seconds in took)
    return Latency(len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.99), ordered[-1])
