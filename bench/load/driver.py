"""One run: jobs per second from the first push to the last callback, and what they cost."""

import asyncio
import contextlib
import gc
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from redis import Redis

from bench import processes
from bench.contenders.running import Running
from bench.load import loadgen, sink as sinks, workload

CONNECTIONS = 64  # of the load generator
FIRST = 200  # jobs of the very first warm-up, when nothing is known about the contender
LOAD = "load generator and sink"  # the title of the bench's own process


class Run(NamedTuple):
    """What one run showed."""

    jobs: int
    seconds: float
    rate: float  # jobs per second
    repeated: int  # callbacks beyond one a job
    cpu: dict[str, float]  # microseconds of processor time per job, by process
    others: float  # cores' worth of processor time that other programs used meanwhile
    memory: float = 0.0  # bytes of Redis' memory that a job took; 0: it has no Redis
    delays: tuple[float, ...] = ()  # ms from push to callback under the light load before it


class Meter:
    """Processor time from its making on: of each process of a contender, and of strangers."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.before, self.busy, self.at = seconds_used(running), busy_seconds(), time.perf_counter()

    def read(self) -> tuple[dict[str, float], float]:
        """Return processor seconds by title, and the cores' worth that strangers used."""
        wall = time.perf_counter() - self.at
        used, busy = spent(self.before, seconds_used(self.running)), busy_seconds() - self.busy
        return used, max(0.0, busy - sum(used.values())) / wall


class Driver:
    """The load generator and the sink."""

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

    async def measure(self, running: Running, jobs: int) -> Run:
        """Push `jobs` jobs through a contender and wait for every callback."""
        pushes = workload.pushes(self.expect(jobs), jobs)
        memory, meter = used_memory(running), Meter(running)
        with collector_off():
            started = await self.push(running.ports, pushes)
        seconds = max(self.sink.seen.values()) - started
        used, others = meter.read()
        cpu = {title: 1e6 * one / jobs for title, one in used.items()}
        memory = (used_memory(running) - memory) / jobs
        return Run(jobs, seconds, jobs / seconds, self.sink.callbacks - jobs, cpu, others, memory)

    async def push(self, ports: tuple[int, ...], pushes: list[bytes]) -> float:
        """Send it all and wait for every callback; return when the first push left."""
        try:
            async with asyncio.TaskGroup() as both:  # a stalled sink stops the load, too
                sent = both.create_task(loadgen.closed_loop(ports, pushes, CONNECTIONS))
                both.create_task(self.sink.finished())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return sent.result()

    async def warm_up(self, running: Running, rate: float) -> float:
        """Run about a second of load that is not counted; return the rate that it showed."""
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


busy_seconds = processes.busy_seconds


def seconds_used(running: Running) -> dict[int, tuple[str, float]]:
    """Return title and processor seconds of each process, the bench's own included."""
    used = {pid: (processes.title(pid), processes.cpu_seconds(pid)) for pid in running.pids()}
    return used | {os.getpid(): (LOAD, processes.cpu_seconds(os.getpid()))}


def used_memory(running: Running) -> int:
    """Return the bytes that its Redis uses; 0 if it has none."""
    if not running.socket.is_socket():
        return 0
    with Redis(unix_socket_path=str(running.socket)) as redis:
        return int(redis.info("memory")["used_memory"])


def spent(
    before: Mapping[int, tuple[str, float]], after: Mapping[int, tuple[str, float]]
) -> dict[str, float]:
    """Return processor seconds by title; processes of one title are added up."""
    total: Counter[str] = Counter()
    for pid, (title, seconds) in after.items():
        total[title] += seconds - before.get(pid, ("", 0.0))[1]
    return dict(total)
