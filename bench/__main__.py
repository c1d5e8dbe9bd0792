"""`python bench`: Ringback against its two baselines, on the same cores.

Rounds are interleaved (A B C A B C …) so that a busy moment of the machine does not fall
on one contender; each run starts fresh processes on an empty store.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import contenders
import idle
import latency
import processes
import report
import ringback
import sink as sinks
import throughput
import uvloop

CONTENDERS = {
    "ringback": ringback.ringback,
    "arq": contenders.arq,
    "relay": contenders.relay,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6, help="aimed length of a run")
    parser.add_argument("--jobs", type=int, help="jobs of every run, instead of --seconds")
    parser.add_argument("--latency", type=float, default=20, help="seconds of light load")
    parser.add_argument("--idle", type=float, default=10, help="seconds of idleness")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything shares")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--out", type=Path, help="write every figure here, as JSON")
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = next((x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), "")
    cores = sorted(os.sched_getaffinity(0))
    python, system = platform.python_version(), platform.platform()
    return {"cpu": cpu.partition(": ")[2], "cores": cores, "python": python, "system": system}


def say(line: str) -> None:
    """Tell how far the bench is, apart from its result."""
    sys.stderr.write(line + "\n")


class Session:
    """One whole benchmark: what was asked, and what was found so far."""

    def __init__(self, options: argparse.Namespace, bench: throughput.Bench) -> None:
        """Begin with nothing measured."""
        self.options = options
        self.bench = bench
        self.rates: dict[str, float] = {}  # the best so far, which sizes the next run
        self.runs: dict[str, list[throughput.Run]] = defaultdict(list)

    @contextlib.asynccontextmanager
    async def start(self, name: str) -> AsyncIterator[contenders.Running]:
        """Run one contender in a folder that is thrown away, and leave nothing running."""
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                async with CONTENDERS[name](self.bench.url, Path(folder)) as running:
                    yield running
            except Exception as error:
                error.add_note(processes.last_words(Path(folder)))
                raise
            finally:
                if left := processes.end_orphans():
                    say(f"{name} left running, now killed: {', '.join(left)}")

    async def throughput(self, name: str) -> None:
        """Do one run of one contender."""
        async with self.start(name) as running:
            warm = await self.bench.warm_up(running, self.rates.get(name, 0.0))
            self.rates[name] = max(warm, self.rates.get(name, 0.0))
            jobs = self.options.jobs or int(self.rates[name] * self.options.seconds)
            run = await self.bench.measure(running, jobs)
        self.rates[name] = max(run.rate, self.rates[name])
        self.runs[name].append(run)
        say(
            f"{name:9} {run.rate:7,.0f} jobs/s   {run.jobs} jobs in {run.seconds:.1f} s, "
            f"strangers used {run.others:.2f} cores"
        )

    async def calm(self, name: str) -> tuple[dict[str, float], latency.Latency]:
        """Measure one contender idle, then under light load."""
        async with self.start(name) as running:
            await self.bench.measure(running, throughput.FIRST)
            shares = await idle.measure(running, self.options.idle)
            return shares, await latency.measure(self.bench, running, self.options.latency)

    async def whole(self) -> dict[str, Any]:
        """Measure everything."""
        started, names = time.time(), self.options.only
        for _ in range(self.options.rounds):
            for name in names:
                await self.throughput(name)
        say("idle and light load …")
        calm = {name: await self.calm(name) for name in names}
        return {
            "machine": machine(),
            "started": started,
            "seconds": time.time() - started,
            "throughput": dict(self.runs),
            "idle": {name: shares for name, (shares, _) in calm.items()},
            "latency": {name: delays for name, (_, delays) in calm.items()},
        }


def as_json(results: dict[str, Any]) -> str:
    """Return the results with every tuple's fields named."""
    runs = {name: [run._asdict() for run in done] for name, done in results["throughput"].items()}
    delays = {name: one._asdict() for name, one in results["latency"].items()}
    return json.dumps(results | {"throughput": runs, "latency": delays}, indent=1)


async def main(options: argparse.Namespace) -> None:
    """Run the bench; SIGTERM ends it as Ctrl-C does, with every child."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    processes.adopt_orphans()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    sink = sinks.Sink()
    server, url = await sinks.serve(sink)
    results = await Session(options, throughput.Bench(sink, url)).whole()
    server.close()
    sys.stdout.write(report.document(results) + "\n")
    if options.out:
        options.out.write_text(as_json(results))


if __name__ == "__main__":
    uvloop.run(main(arguments()))
