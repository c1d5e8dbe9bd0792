"""`python bench/receiver.py`: the receiver alone, beside a bare endpoint that verifies the same.

No worker runs: what is measured ends when a push is answered, and with `ringback` it is then in
Redis. Rounds are interleaved, each run on fresh processes and an empty store.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import contenders
import delivery_store
import loadgen
import processes
import redis_server
import report
import ringback
import throughput
import uvloop
import workload
from redis import Redis

HERE = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9/"  # the subscribers: nothing is delivered without workers
REFUSED = b"405"  # a GET of the hook, once pushes are accepted; /readyz would want a worker
SYNCS = 500  # of the disk, timed before the first run
BLOCK = os.urandom(32 * 1024)  # what is written before each: about one batch of pushes


class Started(NamedTuple):
    """A receiver that takes pushes, and the socket of its Redis, if it has one."""

    running: contenders.Running
    redis: Path | None = None


class Run(NamedTuple):
    """What one run showed."""

    pushes: int
    seconds: float
    rate: float  # pushes per second
    cpu: dict[str, float]  # microseconds of processor time per push, by process
    others: float  # cores' worth of processor time that strangers took meanwhile
    scripts: float  # per push; each is at most one sync of Redis' file


Start = Callable[[Path], AbstractAsyncContextManager[Started]]


async def ready(process: processes.subprocess.Popen, port: int) -> None:
    """Wait until pushes are accepted."""
    async with asyncio.timeout(processes.READY):
        while process.poll() is None:
            if await processes.answers(port, workload.PATH, REFUSED):
                return
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start")


@contextlib.asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[Started]:
    """Run the bare endpoint in one process."""
    port, log = processes.free_port(), folder / "bare.log"
    argv = contenders.uvicorn(sys.executable, "receiver_bare:app", port, 1)
    with processes.child(argv, log, {}) as process:
        await ready(process, port)
        yield Started(contenders.Running(port, (process.pid,)))


def durable(fsync: str, tree: Path = HERE) -> Start:
    """Return what starts Ringback's web process, of this or another checkout, and its Redis."""

    @contextlib.asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Started]:
        file, port = folder / "ringback.toml", processes.free_port()
        file.write_text(ringback.config(NOWHERE))
        with redis_server.redis_server(folder) as (redis, socket):
            async with delivery_store.opened(socket) as store:
                await store.connection.redis.config_set("appendfsync", fsync)
            env = {
                "REDIS_URL": f"unix://{socket}",
                "RINGBACK_CONFIG": str(file),
                "RINGBACK_API_KEYS": processes.KEY,
                "PORT": str(port),
                "PYTHONPATH": str(tree),
            }
            argv = [sys.executable, "-P", "-m", "processor.web"]  # -P: not what is in our folder
            with processes.child(argv, folder / "web.log", env) as web:
                await ready(web, port)
                yield Started(contenders.Running(port, (web.pid, redis.pid)), socket)

    return start


def scripts_run(socket: Path | None) -> int:
    """Return how many scripts ran: each is at most one write of Redis' file, and one sync."""
    if socket is None:
        return 0
    with Redis(unix_socket_path=str(socket)) as client:
        calls: int = client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
        return calls


async def measure(started: Started, run: int, count: int) -> Run:
    """Send so many pushes, and wait for their answers."""
    pushes = workload.pushes(run, count // 2)
    running, redis = started
    ran, before, busy = scripts_run(redis), throughput.weigh(running), processes.busy_seconds()
    with throughput.collector_off():
        began = await loadgen.closed_loop(running.port, pushes, throughput.CONNECTIONS)
    seconds = time.perf_counter() - began
    busy = processes.busy_seconds() - busy
    cpu = throughput.spent(before, throughput.weigh(running), len(pushes))
    others = max(0.0, busy - sum(cpu.values()) * len(pushes) / 1e6) / seconds
    ran = scripts_run(redis) - ran
    return Run(len(pushes), seconds, len(pushes) / seconds, cpu, others, ran / len(pushes))


def sync_times(folder: Path) -> tuple[float, float]:
    """Return p50 and p99 of an fdatasync of the disk that Redis writes to, in ms."""
    took = []
    with (folder / "disk").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(BLOCK)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1e3)
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]


def document(runs: Mapping[str, Sequence[Run]], syncs: tuple[float, float]) -> str:
    """Return the tables."""
    rows = [
        (
            name,
            report.spread([run.rate for run in done], ",.0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread(ratios(runs, name, "bare"), ".0%"),
            report.spread(ratios(runs, name, "before"), ".2f"),
            report.spread([run.scripts for run in done], ".3f"),
        )
        for name, done in runs.items()
    ]
    head = ("receiver alone", "pushes/s", "cores used by strangers", "of bare", "times before")
    costs = [
        (name, title, report.spread([run.cpu.get(title, 0.0) for run in done], ".0f"))
        for name, done in runs.items()
        for title in done[-1].cpu
    ]
    disk = f"fdatasync of the disk: p50 {syncs[0]:.2f} ms, p99 {syncs[1]:.2f} ms"
    tables = (
        report.table((*head, "scripts a push"), rows),
        report.table(("processor time", "process", "µs a push"), costs),
    )
    return "\n\n".join((*tables, disk))


def ratios(runs: Mapping[str, Sequence[Run]], over: str, under: str) -> list[float]:
    """Return how one did against another, round by round; [] unless both ran."""
    if under not in runs:
        return []
    return [a.rate / b.rate for a, b in zip(runs[over], runs[under], strict=True)]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python bench/receiver.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pushes", type=int, default=16_000, help="of a run")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything shares")
    parser.add_argument("--before", type=Path, help="another checkout, measured in the same rounds")
    parser.add_argument("--only", nargs="+", help="of bare, ringback, always, before")
    parser.add_argument("--out", type=Path, help="write every figure here, as JSON")
    return parser.parse_args()


async def main(options: argparse.Namespace) -> None:
    """Run the bench; SIGTERM ends it as Ctrl-C does, with every child."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    processes.adopt_orphans()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    starts = {"bare": bare, "ringback": durable("everysec"), "always": durable("always")}
    if options.before:
        starts["before"] = durable("everysec", options.before.resolve())
    names = options.only or list(starts)
    runs: dict[str, list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        syncs = sync_times(Path(folder))
    for number in range(options.rounds):
        for name in names:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                try:
                    async with starts[name](Path(folder)) as started:
                        await measure(started, 2 * number, options.pushes // 8)
                        run = await measure(started, 2 * number + 1, options.pushes)
                except Exception as error:
                    error.add_note(processes.last_words(Path(folder)))
                    raise
            runs[name].append(run)
            cost = ", ".join(f"{title} {spent:.0f}" for title, spent in run.cpu.items())
            sys.stderr.write(
                f"{name:9} {run.rate:7,.0f} pushes/s   {cost} µs, strangers {run.others:.2f}\n"
            )
    sys.stdout.write(document(runs, syncs) + "\n")
    if options.out:
        figures = {name: [run._asdict() for run in done] for name, done in runs.items()}
        options.out.write_text(json.dumps({"runs": figures, "fdatasync_ms": syncs}, indent=1))


if __name__ == "__main__":
    uvloop.run(main(arguments()))
