"""Noisy neighbours: what three subscribers that are not well cost the 97 others.

Each of the 100 gets the same share. The three are one that nobody listens for, one that
answers after 30 s and one that answers 429.
"""

import asyncio
import itertools
import time
from pathlib import Path
from typing import NamedTuple

import delivery_sink
import delivery_store
import latency
import workload

from processor.store import Store
from processor.store.change import Change

HEALTHY = 97
NOISY = ("late", "busy", "dead")
NEIGHBOURS = {"without": None, "with": 0, "with a heap": 500}
"""Whether the three get anything, and how many events wait for each when a run begins."""

RUNS = 3  # run numbers that one run uses
STEP = 0.02  # seconds between commits of the light load
AHEAD = 2.0  # seconds from committing the heavy load to its falling due
UNCOUNTED = 9999  # the run number of what the three get: the sink does not look for it


class Noise(NamedTuple):
    """What the 97 saw: milliseconds from commit to arrival, then callbacks per second."""

    p50: float
    p99: float
    rate: float


class Size(NamedTuple):
    """How much load: the light one's events a second and seconds, the heavy one's events."""

    rate: int
    seconds: float
    count: int


class Load:
    """The events of one run: for the 97 in turn, and for the three the same share each."""

    def __init__(self, store: Store, sink: delivery_sink.DeliverySink, waiting: int | None) -> None:
        """Begin with nothing committed; without `waiting` the three get nothing."""
        self.store = store
        self.sink = sink
        self.noisy = waiting is not None
        self.waiting = waiting or 0
        self.spoilt = itertools.count()

    def changes(self, run: int, numbers: range, at: float = 0.0) -> list[Change]:
        """Return the events of these numbers, each with the subscriber whose turn it is."""
        made = []
        for n in numbers:
            turn = n % HEALTHY
            made.append(delivery_store.change(f"sub_well{turn:02d}", run, n, at))
            if turn == 0 and self.noisy:
                made += [self.wasted(name, at) for name in NOISY]
        return made

    def wasted(self, name: str, at: float = 0.0) -> Change:
        """Return an event for one of the three."""
        return delivery_store.change(f"sub_{name}", UNCOUNTED, next(self.spoilt), at)

    async def prepare(self, run: int) -> None:
        """Put what waits for the three, and see every other one answer once."""
        self.sink.expect(run, HEALTHY)
        waiting = [self.wasted(name) for name in NOISY * self.waiting]
        await delivery_store.commit(self.store, [*waiting, *self.changes(run, range(HEALTHY))])
        await self.sink.finished()

    async def light(self, run: int, rate: int, seconds: float) -> list[float]:
        """Commit steadily; return how many ms each event took to its subscriber, sorted."""
        count, each = int(rate * seconds), int(rate * STEP)
        self.sink.expect(run, count)
        left: dict[bytes, float] = {}
        start = time.perf_counter()
        for first in range(0, count, each):
            numbers = range(first, min(first + each, count))
            changes = self.changes(run, numbers)
            await asyncio.sleep(max(0.0, start + first / rate - time.perf_counter()))
            now = time.perf_counter()
            left |= {workload.job_id(run, n): now for n in numbers}
            await delivery_store.commit(self.store, changes)
        await self.sink.finished()
        return sorted(1000 * (self.sink.seen[job] - at) for job, at in left.items())

    async def heavy(self, run: int, count: int) -> float:
        """Let many events fall due at one moment; return the callbacks per second."""
        self.sink.expect(run, count)
        at = await self.store.now() + AHEAD
        await delivery_store.commit(self.store, self.changes(run, range(count), at))
        await self.sink.finished()
        return delivery_sink.rate(self.sink)


async def measure(folder: Path, run: int, waiting: int | None, size: Size) -> Noise:
    """Do one run; it uses RUNS run numbers from `run` on."""
    sink = delivery_sink.DeliverySink()
    async with (
        delivery_sink.subscribers(sink, HEALTHY) as urls,
        delivery_store.stored(folder) as (store, socket, _),
    ):
        with delivery_store.delivering(folder, socket, urls):
            load = Load(store, sink, waiting)
            await load.prepare(run)
            took = await load.light(run + 1, size.rate, size.seconds)
            drained = await load.heavy(run + 2, size.count)
    return Noise(latency.percentile(took, 0.5), latency.percentile(took, 0.99), drained)
