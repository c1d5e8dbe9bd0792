"""`python bench/deliver.py`: the delivering side alone, on the same cores as its baselines.

Three parts, each in interleaved rounds, each run on fresh processes and an empty store:
events that are committed already, posted to one subscription; the same in batches; and what
three subscribers that are not well cost 97 others.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import contenders
import delivery_noise
import delivery_report
import delivery_sink
import processes
import sink as sinks
import throughput
import uvloop
from delivery_contenders import CONTENDERS


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python bench/deliver.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=30_000, help="of a run; arq gets a third")
    parser.add_argument("--rate", type=int, default=400, help="events a second of the light load")
    parser.add_argument("--seconds", type=float, default=8, help="length of the light load")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything shares")
    parser.add_argument("--limit", type=float, default=1200, help="seconds after which it fails")
    parser.add_argument("--only", nargs="+", choices=(*CONTENDERS, "noise"))
    parser.add_argument("--out", type=Path, help="write every figure here, as JSON")
    return parser.parse_args()


class Bench:
    """What was asked, and what was found so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Begin with nothing measured."""
        self.options = options
        self.run = 0
        self.runs: dict[str, list[throughput.Run]] = defaultdict(list)
        self.noise: dict[str, list[delivery_noise.Noise]] = defaultdict(list)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a folder that is thrown away, and leave nothing running."""
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            try:
                yield Path(name)
            except Exception as error:
                error.add_note(processes.last_words(Path(name)))
                raise
            finally:
                processes.end_orphans()

    async def alone(self, name: str) -> None:
        """Do one run of one contender."""
        sink, self.run = delivery_sink.DeliverySink(), self.run + 1
        count = self.options.events // (3 if name == "arq" else 1)
        sink.expect(self.run, count)
        server, url = await sinks.serve(sink)
        with self.folder() as folder:
            async with CONTENDERS[name](url, folder, self.run, count) as pids:
                run = await measured(sink, contenders.Running(0, pids))
        server.close()
        self.runs[name].append(run)
        say(f"{name:9} {run.rate:7,.0f} callbacks/s, strangers used {run.others:.2f} cores")

    async def neighbours(self, name: str) -> None:
        """Do one run of the 97, in such a neighbourhood."""
        asked, first = self.options, self.run + 1
        self.run += delivery_noise.RUNS
        size = delivery_noise.Size(asked.rate, asked.seconds, asked.events // 3)
        with self.folder() as folder:
            waiting = delivery_noise.NEIGHBOURS[name]
            found = await delivery_noise.measure(folder, first, waiting, size)
        self.noise[name].append(found)
        say(f"{name:12} p99 {found.p99:6.1f} ms, {found.rate:7,.0f} callbacks/s")

    async def whole(self) -> None:
        """Measure everything; the neighbourhoods begin with another one every round."""
        only = self.options.only or [*CONTENDERS, "noise"]
        for _ in range(self.options.rounds):
            for name in CONTENDERS:
                if name in only:
                    await self.alone(name)
        names = list(delivery_noise.NEIGHBOURS)
        for number in range(self.options.rounds if "noise" in only else 0):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                await self.neighbours(name)


async def measured(sink: delivery_sink.DeliverySink, running: contenders.Running) -> throughput.Run:
    """Wait for every callback; weigh the processes from the end of the warm-up on."""
    finished = asyncio.create_task(sink.finished())
    began = asyncio.create_task(sink.began.wait())
    await asyncio.wait((finished, began), return_when=asyncio.FIRST_COMPLETED)
    began.cancel()
    before, busy, at = throughput.weigh(running), processes.busy_seconds(), time.perf_counter()
    counted = sink.jobs - len(sink.seen)
    await finished
    seconds, after = time.perf_counter() - at, throughput.weigh(running)
    cpu = throughput.spent(before, after, max(counted, 1))
    busy = processes.busy_seconds() - busy - sum(cpu.values()) * counted / 1e6
    return throughput.Run(
        sink.jobs, seconds, delivery_sink.rate(sink), sink.callbacks, cpu, max(0.0, busy) / seconds
    )


def say(line: str) -> None:
    """Tell how far the bench is, apart from its result."""
    sys.stderr.write(line + "\n")


def as_json(bench: Bench) -> str:
    """Return every figure with its name."""
    runs = {name: [one._asdict() for one in done] for name, done in bench.runs.items()}
    noise = {name: [one._asdict() for one in done] for name, done in bench.noise.items()}
    return json.dumps({"alone": runs, "noise": noise}, indent=1)


async def main(options: argparse.Namespace) -> None:
    """Run the bench; SIGTERM ends it as Ctrl-C does, with every child."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    processes.adopt_orphans()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    bench = Bench(options)
    async with asyncio.timeout(options.limit):
        await bench.whole()
    sys.stdout.write(delivery_report.document(bench.runs, bench.noise) + "\n")
    if options.out:
        options.out.write_text(as_json(bench))


if __name__ == "__main__":
    uvloop.run(main(arguments()))
