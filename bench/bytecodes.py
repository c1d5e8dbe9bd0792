"""Section: how many bytecodes Python runs for a push and for a job, and in which functions.

A count is the same on every machine, so that it shows what a change saves where times would vary by
more. It is no time: bytecodes that call C take longer than others, and what C does is not counted.
While it counts, everything is about twenty times slower, so batches are not those of a loaded system.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bench import report
from bench.contenders.ringback import ringback
from bench.environments import TREE, Installation
from bench.report import Result
from bench.runner import Runner

JOBS, WARM = 1500, 300
PUSHES = 2  # of a job
TRACED = Installation(sys.executable, f"{TREE / 'bench' / 'tracer'}:{TREE}")
KINDS = {"web": ("processor.web", "a push", PUSHES), "workers": ("workers", "a job", 1)}
"""By process: its module, what its figures are divided by, and how many of that a job has."""
SHOWN = 25  # functions of each process
OURS = tuple(str(TREE / package) for package in ("processor", "workers"))

Functions = dict[str, tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]]
"""By process: bytecodes and calls, by name and file of the function."""


async def measure(runner: Runner) -> Result:
    """Count during a full load."""
    jobs = runner.size(JOBS)
    async with runner.start("ringback", lambda *place: ringback(*place, TRACED)) as running:
        folder = running.config.parent
        await runner.driver.measure(running, WARM)
        switch = folder / "counting"
        switch.touch()
        await asyncio.sleep(0.5)  # until all processes have seen it
        await runner.driver.measure(running, jobs)
        switch.unlink()
        found = await counted(folder)
    totals, functions = [], []
    for kind, (codes, calls) in found.items():
        unit, count = KINDS[kind][1], jobs * KINDS[kind][2]
        ours = sum(n for (_, file), n in codes.items() if file.startswith(OURS))
        sums = (sum(codes.values()), ours, sum(calls.values()))
        totals.append((kind, unit, *(f"{n / count:,.0f}" for n in sums)))
        for (name, file), n in codes.most_common(SHOWN):
            row = (f"{n / count:.0f}", f"{calls[name, file] / count:.1f}", name, short(file))
            functions.append((f"{kind}, {unit}", *row))
    tables = [
        report.table(("bytecodes", "of", "all", "ours", "calls of functions"), totals),
        report.table(("process", "bytecodes", "calls", "function", "file"), functions),
    ]
    return Result(tables, [], totals)


async def counted(folder: Path) -> Functions:
    """What the processes have written, added up by process."""
    files = written_in(folder)
    while not files or files != written_in(folder):  # some still write
        files = written_in(folder)
        await asyncio.sleep(1.0)
    found: Functions = {kind: (Counter(), Counter()) for kind in KINDS}
    for file in files:
        written: dict[str, Any] = json.loads(file.read_text())
        for kind, (module, *_) in KINDS.items():
            if module in written["argv"]:
                for codes, calls, function, place in written["functions"]:
                    found[kind][0][function, place] += codes
                    found[kind][1][function, place] += calls
    return found


def written_in(folder: Path) -> list[Path]:
    """The files of the processes that have written."""
    return sorted(folder.glob("bytecodes-*.json"))


def short(file: str) -> str:
    """The end of a file's path."""
    return "/".join(Path(file).parts[-3:])
