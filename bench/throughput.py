"""Throughput of one run: jobs per second from the first push to the last callback."""

import asyncio
import contextlib
import gc
import os
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import contenders
import loadgen
import processes
import sink as sinks
import workload

CONNECTIONS = 64  # of the load generator
FIRST = 200  # jobs of the very first warm-up, when nothing is known about the contender


class Run(NamedTuple):
    """What one run showed."""

    jobs: int
    seconds: float
    rate: float  # jobs per second
    repeated: int  # callbacks beyond one a job
    cpu: dict[str, float]  # microseconds of processor time per job, by process
    others: float  # cores' worth of processor time that strangers took meanwhile


class Bench:
    """The load generator and the sink: one process, the same for all contenders."""

    def __init__(self, sink: sinks.Sink, url: str) -> None:
        """Take a sink that listens at `url`."""
        self.sink = sink
        self.url = url
        self.run = 0

    def expect(self, jobs: int) -> int:
        """Begin a new run; return its number, which its job ids carry."""
        self.run += 1
        self.sink.expect(self.run, jobs)
        return self.run

    async def measure(self, running: contenders.Running, jobs: int) -> Run:
        """Push `jobs` jobs through a contender and wait for every callback."""
        pushes = workload.pushes(self.expect(jobs), jobs)
        before, busy = weigh(running), processes.busy_seconds()
        with collector_off():
            started = await self.push(running.port, pushes)
        seconds = max(self.sink.seen.values()) - started
        busy = processes.busy_seconds() - busy
        cpu = spent(before, weigh(running), jobs)
        others = max(0.0, busy - sum(cpu.values()) * jobs / 1e6) / seconds
        return Run(jobs, seconds, jobs / seconds, self.sink.callbacks - jobs, cpu, others)

    async def push(self, port: int, pushes: list[bytes]) -> float:
        """Send it all and wait for every callback; return when the first push left."""
        try:
            async with asyncio.TaskGroup() as both:  # a stalled sink stops the load, too
                sent = both.create_task(loadgen.closed_loop(port, pushes, CONNECTIONS))
                both.create_task(self.sink.finished())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return sent.result()

    async def warm_up(self, running: contenders.Running, rate: float) -> float:
        """Run about a second of load, to be forgotten; return the rate that it showed."""
        if not rate:
            rate = (await self.measure(running, FIRST)).rate
        return (await self.measure(running, max(FIRST, int(rate)))).rate


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Keep the garbage collector away from tens of thousands of ready pushes."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def weigh(running: contenders.Running) -> dict[int, tuple[str, float]]:
    """Return title and processor seconds of each process, the bench's own included."""
    weights = {pid: (processes.title(pid), processes.cpu_seconds(pid)) for pid in running.pids()}
    return weights | {os.getpid(): ("load generator and sink", processes.cpu_seconds(os.getpid()))}


def spent(
    before: dict[int, tuple[str, float]], after: dict[int, tuple[str, float]], jobs: int
) -> dict[str, float]:
    """Return microseconds per job by title; processes of one title are added up."""
    total: Counter[str] = Counter()
    for pid, (title, seconds) in after.items():
        total[title] += (seconds - before.get(pid, ("", 0.0))[1]) * 1e6 / jobs
    return dict(total)
