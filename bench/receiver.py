"""Section: the receiver alone, beside a bare endpoint that verifies the same.

No worker runs: what is measured ends when a push is answered, and with `ringback` it is then in
Redis. Accepted pushes stay there, so that a run is bounded by its number of pushes.
"""

import asyncio
import contextlib
import functools
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from redis import Redis

from bench import fsync, processes, redis_server, report
from bench.contenders import ringback
from bench.contenders.baselines import uvicorn
from bench.contenders.running import Running, Start
from bench.environments import THIS_TREE, Installation
from bench.load import loadgen, workload
from bench.load.driver import CONNECTIONS, Meter, collector_off
from bench.report import Result
from bench.runner import Runner, rotated, say

ROUNDS = 5
PUSHES = 16_000  # of a run
NOWHERE = "http://127.0.0.1:9/"  # the subscribers: nothing is delivered without workers
REFUSED = b"405"  # a GET of the hook, once pushes are accepted; /readyz would want a worker


class Run(NamedTuple):
    """What one run showed."""

    pushes: int
    seconds: float
    rate: float  # pushes per second
    cpu: dict[str, float]  # microseconds of processor time per push, by process
    others: float  # cores' worth of processor time that other programs used meanwhile
    scripts: float  # per push; each is at most one sync of Redis' file


async def ready(process: Popen, port: int) -> None:
    """Wait until pushes are accepted."""
    async with asyncio.timeout(processes.READY):
        while process.poll() is None:
            if await processes.answers(port, workload.PATH, REFUSED):
                return
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start")


@contextlib.asynccontextmanager
async def bare(_sink: str, folder: Path) -> AsyncIterator[Running]:
    """Run the bare endpoint in one process."""
    port, log = processes.free_port(), folder / "bare.log"
    argv = uvicorn(sys.executable, "bare_receiver", port, 1)
    with processes.child(argv, log, {}) as process:
        await ready(process, port)
        yield Running((port,), (process.pid,))


@contextlib.asynccontextmanager
async def durable(
    _sink: str, folder: Path, appendfsync: str = "everysec", installed: Installation = THIS_TREE
) -> AsyncIterator[Running]:
    """Run Ringback's web process and its Redis."""
    file, port = folder / "ringback.toml", processes.free_port()
    file.write_text(ringback.config(NOWHERE))
    with redis_server.redis_server(folder, redis_server.Setup(appendfsync)) as (redis, socket):
        env = {
            "REDIS_URL": f"unix://{socket}",
            "RINGBACK_CONFIG": str(file),
            "RINGBACK_API_KEYS": processes.KEY,
            "PORT": str(port),
            "PYTHONPATH": installed.path,
        }
        argv = [installed.python, "-m", "processor.web"]
        with processes.child(argv, folder / "web.log", env) as web:
            await ready(web, port)
            yield Running((port,), (web.pid, redis.pid), socket)


def scripts_run(running: Running) -> int:
    """Return how many scripts ran: each is at most one write of Redis' file, and one sync."""
    if not running.socket.is_socket():
        return 0
    with Redis(unix_socket_path=str(running.socket)) as client:
        calls: int = client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
        return calls


async def once(running: Running, run: int, count: int) -> Run:
    """Send so many pushes, and wait for their answers."""
    pushes = workload.pushes(run, max(1, count // 2))
    ran, meter = scripts_run(running), Meter(running)
    with collector_off():
        began = await loadgen.closed_loop(running.ports, pushes, CONNECTIONS)
    seconds = time.perf_counter() - began
    used, others = meter.read()
    count, ran = len(pushes), scripts_run(running) - ran
    cpu = {title: 1e6 * one / count for title, one in used.items()}
    return Run(count, seconds, count / seconds, cpu, others, ran / count)


def starts(runner: Runner) -> dict[str, Start]:
    """Return who is compared."""
    found: dict[str, Start] = {
        "bare": bare,
        "ringback": durable,
        "always": functools.partial(durable, appendfsync="always"),
    }
    if runner.options.before:
        found["before"] = lambda sink, folder: durable(sink, folder, installed=runner.before)
    names = runner.options.only
    return {name: start for name, start in found.items() if not names or name in names}


async def measure(runner: Runner) -> Result:
    """Run each once a round."""
    contenders = starts(runner)
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    count = runner.size(PUSHES)
    with runner.folder("disk") as folder:
        disk = fsync.disk_syncs(folder)
    for number in range(runner.rounds(ROUNDS)):
        for name in rotated(list(contenders), number):
            runner.driver.run += 2
            async with runner.start(name, contenders[name]) as running:
                await once(running, runner.driver.run - 1, count // 8)
                runs[name].append(run := await once(running, runner.driver.run, count))
            cost = ", ".join(f"{title} {spent:.0f}" for title, spent in run.cpu.items())
            say(f"{name:9} {run.rate:7,.0f} pushes/s   {cost} µs, strangers {run.others:.2f}")
    claims = report.at_least(
        "receiver alone: at least 65 % of a bare endpoint",
        report.ratios(runs, "ringback", "bare"),
        0.65,
        ".0%",
    )
    line = f"fdatasync of this disk, idle: {fsync.times(disk)}. {runner.named()}"
    figures = {name: [run._asdict() for run in done] for name, done in runs.items()}
    return Result([table(runs), report.cost_table(runs, "a push"), line], claims, figures)


def table(runs: Mapping[str, Sequence[Run]]) -> str:
    """Return the pushes per second, and the ratios within each round."""
    rows = [
        (
            name,
            report.spread(report.rates(runs, name), ",.0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread(report.ratios(runs, name, "bare"), ".0%"),
            report.spread(report.ratios(runs, name, "before"), ".2f"),
            report.spread([run.scripts for run in done], ".3f"),
        )
        for name, done in runs.items()
    ]
    head = ("receiver alone", "pushes/s", "cores used by strangers", "of bare", "times before")
    return report.table((*head, "scripts a push"), rows)
