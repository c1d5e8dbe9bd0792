"""Section: honest pushes while others try to keep the receiver busy.

One web process, a worker and the clock on an append-only Redis. Each scenario runs on fresh
processes: pushes of 1 KiB, 50 a second on new connections, first alone, then during the attack;
and the memory of the web process before, at its most, and 10 s after.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from bench import report
from bench.environments import TREE
from bench.processes import cpu_seconds
from bench.report import Result
from bench.runner import Runner, say
from tests.acceptance.conftest import EGRESS, standard
from tests.acceptance.probe import Probe, peak, probe, resident
from tests.acceptance.system import System

WARM_UP = 3.0  # seconds
MEASURED = 20.0
AFTER = 10.0
LIMIT = 180.0  # of one attack
MEMORY = ("MiB of the web process: idle", "most", "10 s after")
MIB = 1024 * 1024


class Scenario(NamedTuple):
    """An attack, and the limits that the web process runs with."""

    kind: str
    count: int
    size: int = 0
    path: str = "/hooks/feed"
    files: int | None = None


SCENARIOS = {
    "bodies": Scenario("bodies", 800, 1_000_001),
    "large": Scenario("bodies", 200, 20_000_000, "/hooks/large"),
    "silent": Scenario("silent", 1500, files=1024),
    "crowd": Scenario("silent", 8400),
    "readyz": Scenario("keyless", 1000, path="/readyz"),
}
CONFIG = EGRESS + standard("feed") + standard("large") + 'largest = "20MB"\n'


@contextlib.asynccontextmanager
async def attack(one: Scenario, port: int) -> AsyncIterator[None]:
    """Run the attackers in a process of their own."""
    program = TREE / "tests" / "acceptance" / "attack.py"
    words = [one.kind, str(port), str(one.count), str(one.size), one.path]
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(program), *words, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout
        with contextlib.suppress(TimeoutError):  # while it comes in is worth measuring, too
            await asyncio.wait_for(child.stdout.readline(), 5)
        yield
    finally:
        child.kill()
        await child.wait()


async def measure(runner: Runner) -> Result:
    """Run every attack."""
    rows = []
    for name, one in SCENARIOS.items():
        with runner.folder(name) as folder:
            async with asyncio.timeout(LIMIT):
                rows.append((name, *await run(folder, one, runner.seconds(MEASURED))))
        say(" · ".join(rows[-1]))
    head = (
        "attack",
        "alone: answers, p50 / p99, ms",
        "attacked: answers, p50 / p99, ms",
        "p99, times",
    )
    return Result([report.table((*head, *MEMORY, "of a core"), rows)], [], rows)


async def run(folder: Path, one: Scenario, seconds: float) -> list[str]:
    """Do one run; the cells of its row."""
    with System(folder, CONFIG, PYTHONPATH=str(TREE)) as system:
        system.start_all(files=one.files)
        pid = system.children["web"].pid
        await probe(system.port, "feed", "warm", WARM_UP)
        alone = await probe(system.port, "feed", "alone", seconds)
        idle = resident(pid)
        async with attack(one, system.port):
            busy = cpu_seconds(pid)
            attacked = await probe(system.port, "feed", "attacked", seconds)
            busy = 100 * (cpu_seconds(pid) - busy) / seconds
        await asyncio.sleep(AFTER)
        memory = (idle, peak(pid), resident(pid))
    return [
        shown(alone),
        shown(attacked),
        f"{attacked.part(0.99) / alone.part(0.99):.1f}",
        *(f"{size / MIB:.0f}" for size in memory),
        f"{busy:.0f} %",
    ]


def shown(one: Probe) -> str:
    """Return the answers by status (0: none), and how long they took."""
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(one.statuses.items()))
    return f"{answers}; {1000 * one.part(0.5):.1f} / {1000 * one.part(0.99):.1f}"
