"""From a push leaving to its callback reaching the sink, at a rate that the answers do not change.

Pushes leave at their times, jittered so that they do not march in step with anybody's interval. A
delay begins when its push really left; how much later than planned that was is returned as well,
because a load generator that falls behind loads less than it says.
"""

import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.contenders.running import Running
from bench.load import loadgen, workload
from bench.load.driver import CONNECTIONS, Driver, Meter, collector_off

LIGHT = 20  # jobs per second: a machine that has little to do
LIGHT_CONNECTIONS = 8  # each is used before a server closes it as idle
WARM = LIGHT  # pushes at the beginning of the light load that are not counted


class Paced(NamedTuple):
    """Milliseconds, sorted, and jobs per second."""

    rate: float  # jobs per second from the first push to the last
    delays: tuple[float, ...]  # from the push that ends a job to its callback
    late: tuple[float, ...]  # by which pushes left later than planned
    others: float  # cores' worth of processor time that other programs used


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def schedule(run: int, rate: float, pushes: Sequence[bytes]) -> list[tuple[float, bytes]]:
    """Return when each push leaves, evenly but for a jitter of half an interval."""
    jitter = random.Random(run)
    return [
        ((n + jitter.uniform(-0.5, 0.5) / 2) / rate, content) for n, content in enumerate(pushes)
    ]


async def light(driver: Driver, running: Running, seconds: float) -> tuple[float, ...]:
    """Push LIGHT jobs a second, one push each; return the delays in ms, sorted."""
    count = WARM + int(seconds * LIGHT)
    run = driver.expect(count)
    order = [(number, True) for number in range(count)]
    found = await paced(
        driver, running, LIGHT, run, order, connections=LIGHT_CONNECTIONS, warm=WARM
    )
    return found.delays


async def steady(driver: Driver, running: Running, rate: float, seconds: float) -> Paced:
    """Push so many jobs a second, two pushes each as under full load."""
    count = max(1, int(rate * seconds))
    run = driver.expect(count)
    return await paced(
        driver, running, 2 * rate, run, workload.order(count), connections=CONNECTIONS
    )


async def paced(
    driver: Driver,
    running: Running,
    rate: float,
    run: int,
    order: Sequence[tuple[int, bool]],
    *,
    connections: int,
    warm: int = 0,
) -> Paced:
    """Send pushes at a rate (pushes a second), and wait for every callback."""
    planned = schedule(run, rate, [workload.push(run, *one) for one in order])
    load = loadgen.Load(running.ports)
    await load.connect(connections, iter(()))
    meter = Meter(running)
    try:
        with collector_off():
            began = time.perf_counter()
            left = await loadgen.open_loop(load, planned)
            await driver.sink.finished()
    finally:
        load.close()
    load.check()
    _, others = meter.read()
    seen, late = (
        driver.sink.seen,
        [at - began - plan for at, (plan, _) in zip(left, planned, strict=True)],
    )
    ends = [(at, number) for at, (number, final) in zip(left, order, strict=True) if final]
    delays = [seen[workload.job_id(run, number)] - at for at, number in ends if number >= warm]
    return Paced(
        len(ends) / (left[-1] - left[0]) if len(left) > 1 else 0.0,
        tuple(sorted(1000 * one for one in delays)),
        tuple(sorted(1000 * one for one in late)),
        others,
    )
