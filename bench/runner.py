"""What all sections share: their options, the load, and contenders that are started and ended.

Rounds are interleaved (A B C, B C A, …) so that a busy moment of the machine does not fall on one
contender, nor the place in a round; each run starts fresh processes on an empty store.
"""

import argparse
import contextlib
import functools
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench import environments, processes
from bench.contenders import baselines
from bench.contenders.ringback import ringback
from bench.contenders.running import Running, Start
from bench.load import latency
from bench.load.driver import Driver, Run

SECONDS = 6.0  # aimed length of a run under full load


class Runner:
    """One run of the bench: its options, and the process that loads every contender."""

    def __init__(self, options: argparse.Namespace, driver: Driver) -> None:
        self.options = options
        self.driver = driver
        self.rates: dict[str, float] = {}  # the best so far, which sizes the next run

    def rounds(self, usual: int) -> int:
        """Return how many rounds a section runs."""
        return self.options.rounds or usual

    def size(self, full: int) -> int:
        """Return a number of jobs, events or listeners, by the option --scale."""
        return max(1, int(full * self.options.scale))

    def seconds(self, full: float) -> float:
        """Return the length of a measurement, by the option --scale."""
        return full * self.options.scale

    @functools.cached_property
    def before(self) -> environments.Installation:
        """Return the commit that this tree is compared with."""
        return environments.commit(self.options.before)

    def named(self) -> str:
        """Return a line that says what `before` is."""
        return f"*before* is commit {self.options.before}." if self.options.before else ""

    def contenders(self) -> dict[str, Start]:
        """Return everyone who is compared, by name."""
        found: dict[str, Start] = {"ringback": ringback}
        if self.options.before:
            found["before"] = lambda sink, folder: ringback(sink, folder, self.before)
        return found | {"arq": baselines.arq, "relay": baselines.relay}

    @contextlib.contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Give a folder that is deleted afterwards; end every process that is left then."""
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                yield Path(folder)
            except Exception as error:
                error.add_note(processes.last_words(Path(folder)))
                raise
            finally:
                if left := processes.end_orphans():
                    say(f"{name} left running, now killed: {', '.join(left)}")

    @contextlib.asynccontextmanager
    async def start(self, name: str, start: Start) -> AsyncIterator[Running]:
        """Run one contender in a folder of its own."""
        with self.folder(name) as folder:
            async with start(self.driver.url, folder) as running:
                yield running

    async def compare(
        self, contenders: Mapping[str, Start], rounds: int, light: float = 0.0
    ) -> dict[str, list[Run]]:
        """Run each contender once a round: the light load for so many seconds, then all it takes."""
        runs: dict[str, list[Run]] = {name: [] for name in contenders}
        for number in range(rounds):
            for name in rotated(list(contenders), number):
                async with self.start(name, contenders[name]) as running:
                    runs[name].append(await self.load(name, running, light))
        return runs

    async def load(self, name: str, running: Running, light: float = 0.0) -> Run:
        """Measure a contender that runs."""
        warm = await self.driver.warm_up(running, self.rates.get(name, 0.0) * self.options.scale)
        delays: tuple[float, ...] = ()
        if light:
            delays = await latency.light(self.driver, running, light)
        best = max(warm, self.rates.get(name, 0.0))
        run = await self.driver.measure(running, max(1, int(best * self.seconds(SECONDS))))
        self.rates[name] = max(best, run.rate)
        say(
            f"{name:12} {run.rate:7,.0f} jobs/s   {run.jobs} jobs in {run.seconds:.1f} s, "
            f"strangers used {run.others:.2f} cores"
        )
        return run._replace(delays=delays)


class Section(NamedTuple):
    """A part of the bench."""

    title: str
    measure: Callable[[Runner], Any]  # a coroutine function that returns a Result
    limit: float  # seconds after which it fails
    standard: bool = False  # part of `make bench`


def rotated(names: list[str], number: int) -> list[str]:
    """Return the names in the order of a round: each round begins with another one."""
    turn = number % len(names) if names else 0
    return names[turn:] + names[:turn]


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = next((x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), "")
    cores = len(os.sched_getaffinity(0))
    python, system = platform.python_version(), platform.platform()
    return {"cpu": cpu.partition(": ")[2], "cores": cores, "python": python, "system": system}


def say(line: str) -> None:
    """Print progress, apart from the result."""
    sys.stderr.write(line + "\n")
