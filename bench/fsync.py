"""Section: the whole of Ringback with `appendfsync always`, and how often Redis syncs a job.

The syncs are counted in a run of its own, in which strace stops Redis at each fdatasync and at no
other call; without strace they are not counted.
"""

import functools
import os
import re
import shutil
import time
from pathlib import Path

from bench import report
from bench.contenders.ringback import ringback
from bench.load.latency import percentile
from bench.redis_server import Setup
from bench.report import Claim, Result
from bench.runner import Runner

ROUNDS = 3
PROBES = 500  # syncs of the disk that are timed
BLOCK = os.urandom(32 * 1024)  # written before each: about one batch
TOOK = re.compile(r"fdatasync[( ].*<([\d.]+)>$", re.MULTILINE)
STRACE = (
    "strace",
    "-D",
    "-f",  # -D: signals reach Redis
    "--seccomp-bpf",
    "-e",
    "trace=fdatasync",
    "-T",
    "-o",
)


async def measure(runner: Runner) -> Result:
    """Time the disk, compare both settings, and count."""
    with runner.folder("disk") as folder:
        disk = disk_syncs(folder)
    starts = {
        setting: functools.partial(ringback, redis=Setup(setting))
        for setting in ("everysec", "always")
    }
    runs = await runner.compare(starts, runner.rounds(ROUNDS))
    syncs, each = await counted(runner) if shutil.which("strace") else ([], None)
    rows = [
        (
            name,
            report.spread(report.rates(runs, name), ",.0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread(report.ratios(runs, name, "everysec"), ".2f"),
            report.spread(report.costs(runs, name), ".0f"),
        )
        for name, done in runs.items()
    ]
    head = ("appendfsync", "jobs/s", "cores used by strangers", "times everysec", "µs a job")
    shown = "not counted: no strace" if each is None else f"{each:.3f}"
    lines = [
        f"fdatasync of this disk, idle, {len(BLOCK) >> 10} KiB each: {times(disk)}.",
        f"Under load with `always`: {times(syncs)}; syncs a job: {shown}.",
    ]
    claims = (
        [] if each is None else [Claim("fewer than 0.3 syncs a job", f"{each:.3f}", each < 0.3)]
    )
    figures = {name: [run._asdict() for run in done] for name, done in runs.items()}
    figures |= {"disk": disk, "syncs": syncs, "syncs a job": each}
    return Result([report.table(head, rows), "\n".join(lines)], claims, figures)


async def counted(runner: Runner) -> tuple[list[float], float]:
    """Run once under strace; return each fdatasync of the run in ms, and how many a job."""
    with runner.folder("always, counted") as folder:
        log = folder / "strace.txt"
        setup = Setup("always", (*STRACE, str(log)))
        async with ringback(runner.driver.url, folder, redis=setup) as running:
            await runner.driver.warm_up(running, runner.rates["always"] * runner.options.scale)
            before = len(TOOK.findall(log.read_text()))
            jobs = max(1, int(runner.rates["always"] * runner.seconds(4)))
            await runner.driver.measure(running, jobs)
            took = [1000 * float(one) for one in TOOK.findall(log.read_text())[before:]]
    return took, len(took) / jobs


def disk_syncs(folder: Path) -> list[float]:
    """Return the ms of each of many writes' fdatasync, one after the other."""
    took = []
    with (folder / "disk").open("wb", buffering=0) as file:
        for _ in range(PROBES):
            file.write(BLOCK)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
    return took


def times(took: list[float]) -> str:
    """Return p50 and p99."""
    if not took:
        return "not measured"
    p50, p99 = (percentile(sorted(took), share) for share in (0.5, 0.99))
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms"
