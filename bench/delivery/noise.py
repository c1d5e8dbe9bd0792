"""Section: noisy neighbours, or what three failing subscribers cost the healthy ones.

Every subscriber has a port of its own and gets the same share of the events. Of the three, one
port is closed, one answers after 30 s, one answers 429. A steady load gives the time from commit
to arrival; then events that fall due at one moment give events per second. Only what the healthy
ones get is counted.
"""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import report
from bench.delivery import sink as sinks, store as stores
from bench.load import latency, workload
from bench.report import Claim, Result
from bench.runner import Runner, rotated, say
from processor.store import Store
from processor.store.change import Change

ROUNDS = 5
FAILING = ("hanging", "busy", "dead")
NEIGHBOURS = {"without": None, "with": 0, "with a backlog": 500}
"""Whether the three get anything, and how many events wait for each when a run begins."""

RUNS = 3  # run numbers that one run uses
STEP = 0.02  # seconds between commits of the steady load
AHEAD = 2.0  # seconds from committing the heavy load to its falling due
UNCOUNTED = 9999  # the run number of what the three get: the sink does not look for it


class Crowd(NamedTuple):
    """How many healthy subscribers there are, and how much they get."""

    healthy: int
    rate: int  # events per second of the steady load, all together
    seconds: float  # of the steady load
    at_once: int  # events of the heavy load; 0: none
    neighbours: tuple[str, ...]
    slower: float  # goal: p99 with the three at most so many times that without


CROWDS = {
    "97 of 100 at 400 events/s": Crowd(97, 400, 8.0, 10_000, tuple(NEIGHBOURS), 1.2),
    "20 of 23 at 2,000 events/s": Crowd(20, 2_000, 8.0, 0, ("without", "with"), 1.3),
}


class Noise(NamedTuple):
    """What the healthy ones saw: milliseconds from commit to arrival, then events per second."""

    p50: float
    p99: float
    rate: float | None
    others: float  # cores' worth of processor time that other programs used meanwhile


Found = Mapping[str, Mapping[str, Sequence[Noise]]]
"""Crowd → neighbours → a figure a round."""


class Load:
    """The events of one run: for the healthy in turn, and for the three the same share each."""

    def __init__(self, store: Store, sink: sinks.DeliverySink, crowd: Crowd, waiting: int | None):
        """Begin with nothing committed; without `waiting` the three get nothing."""
        self.store, self.sink, self.crowd = store, sink, crowd
        self.failing = FAILING if waiting is not None else ()
        self.waiting = waiting or 0
        self.uncounted = itertools.count()

    def changes(self, run: int, numbers: range, at: float = 0.0) -> list[Change]:
        """Return the events of these numbers, each with the subscriber whose turn it is."""
        made = []
        for n in numbers:
            turn = n % self.crowd.healthy
            made.append(stores.change(f"sub_{sinks.healthy_name(turn)}", run, n, at))
            if turn == 0:
                made += [self.uncounted_change(name, at) for name in self.failing]
        return made

    def uncounted_change(self, name: str, at: float = 0.0) -> Change:
        """Return an event for one of the three."""
        return stores.change(f"sub_{name}", UNCOUNTED, next(self.uncounted), at)

    async def prepare(self, run: int) -> None:
        """Put what waits for the three, and see every healthy one answer once."""
        self.sink.expect(run, self.crowd.healthy)
        waiting = [self.uncounted_change(name) for name in self.failing * self.waiting]
        first = self.changes(run, range(self.crowd.healthy))
        await stores.commit(self.store, [*waiting, *first])
        await self.sink.finished()

    async def steady(self, run: int, seconds: float) -> list[float]:
        """Commit steadily; return how many ms each event took to its subscriber, sorted."""
        rate = self.crowd.rate
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
            await stores.commit(self.store, changes)
        await self.sink.finished()
        return sorted(1000 * (self.sink.seen[job] - at) for job, at in left.items())

    async def heavy(self, run: int, count: int) -> float:
        """Let many events fall due at one moment; return the events per second."""
        self.sink.expect(run, count)
        at = await self.store.now() + AHEAD
        await stores.commit(self.store, self.changes(run, range(count), at))
        await self.sink.finished()
        return sinks.rate(self.sink)


async def measure(runner: Runner) -> Result:
    """Run every crowd with each kind of neighbours; each round begins with another kind."""
    found: dict[str, dict[str, list[Noise]]] = defaultdict(lambda: defaultdict(list))
    for number in range(runner.rounds(ROUNDS)):
        for name, crowd in CROWDS.items():
            for kind in rotated(list(crowd.neighbours), number):
                with runner.folder(name) as folder:
                    one = await once(runner, folder, crowd, NEIGHBOURS[kind])
                found[name][kind].append(one)
                say(f"{name}, {kind}: p50 {one.p50:.1f}, p99 {one.p99:.1f} ms")
    figures = {name: dict(kinds) for name, kinds in found.items()}
    return Result([table(name, kinds) for name, kinds in found.items()], claims(found), figures)


async def once(runner: Runner, folder: Path, crowd: Crowd, waiting: int | None) -> Noise:
    """Do one run."""
    sink = sinks.DeliverySink()
    first, runner.driver.run = runner.driver.run + 1, runner.driver.run + RUNS
    async with (
        sinks.subscribers(sink, crowd.healthy) as urls,
        stores.stored(folder) as (store, socket, redis),
    ):
        with stores.delivering(folder, socket, urls) as pids:
            load = Load(store, sink, crowd, waiting)
            await load.prepare(first)
            meter = stores.meter((redis, *pids))
            took = await load.steady(first + 1, runner.seconds(crowd.seconds))
            _, others = meter.read()
            at_once = runner.size(crowd.at_once) if crowd.at_once else 0
            drained = await load.heavy(first + 2, at_once) if at_once else None
    return Noise(*(latency.percentile(took, share) for share in (0.5, 0.99)), drained, others)


def changes(kinds: Mapping[str, Sequence[Noise]], kind: str, figure: str) -> list[float]:
    """Return a figure among such neighbours over the same without, round by round."""
    over, under = ([getattr(one, figure) for one in kinds[k]] for k in (kind, "without"))
    return [] if None in over else report.divided(over, under)


def table(name: str, kinds: Mapping[str, Sequence[Noise]]) -> str:
    """Return what the healthy ones saw, with the three and without."""
    shapes = {"p50": ".1f", "p99": ".1f", "rate": ",.0f", "others": ".2f"}
    rows = [
        (
            kind,
            *(
                report.spread([v for n in done if (v := getattr(n, field)) is not None], shape)
                for field, shape in shapes.items()
            ),
        )
        for kind, done in kinds.items()
    ]
    rows += [
        (
            f"{kind} / without",
            *(report.spread(changes(kinds, kind, f), ".2f") for f in ("p50", "p99", "rate")),
            "",
        )
        for kind in kinds
        if kind != "without"
    ]
    head = (name, "p50, ms", "p99, ms", "at once, events/s", "cores used by strangers")
    return report.table(head, rows)


def claims(found: Found) -> list[Claim]:
    """Return what this section shows of Ringback's goals."""
    made = []
    for name, kinds in found.items():
        goal = CROWDS[name].slower
        text = f"failing neighbours, {name}: p99 at most {goal:g} times"
        made += report.at_most(text, changes(kinds, "with", "p99"), goal, ".2f")
        text = f"failing neighbours, {name}: at least 90 % of the throughput"
        made += report.at_least(text, changes(kinds, "with", "rate"), 0.9, ".0%")
    return made
