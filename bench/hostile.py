"""`python bench/hostile.py [SCENARIO…]`: honest pushes while others try to keep the receiver busy.

One web process, a worker and the clock on an append-only Redis. Each scenario runs on fresh
processes: pushes of 1 KiB, 50 a second on new connections, first alone, then during the attack;
and the memory of the web process before, at its most, and 10 s after.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from processes import cpu_seconds

from tests.acceptance.conftest import EGRESS, standard
from tests.acceptance.probe import peak, probe, resident
from tests.acceptance.system import System

WARM_UP = 3.0  # seconds
MEASURED = 20.0
AFTER = 10.0
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
    program = Path(__file__).parents[1] / "tests" / "acceptance" / "attack.py"
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


async def run(name: str, one: Scenario) -> str:
    """Do one run; its row."""
    with tempfile.TemporaryDirectory() as folder, System(Path(folder), CONFIG) as system:
        system.start_all(files=one.files)
        pid = system.children["web"].pid
        await probe(system.port, "feed", "warm", WARM_UP)
        alone = await probe(system.port, "feed", "alone", MEASURED)
        idle = resident(pid)
        async with attack(one, system.port):
            busy = cpu_seconds(pid)
            attacked = await probe(system.port, "feed", "attacked", MEASURED)
            busy = 100 * (cpu_seconds(pid) - busy) / MEASURED
        await asyncio.sleep(AFTER)
        most, after = peak(pid), resident(pid)
    ratio = attacked.part(0.99) / alone.part(0.99)
    memory = f"idle {idle / MIB:.0f} most {most / MIB:.0f} after {after / MIB:.0f} MiB; {busy:.0f} % of a core"
    return f"{name:8} alone {alone}\n{'':8} attacked {attacked} ({ratio:.1f}x p99)\n{'':8} {memory}"


async def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], default=[])
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    for _ in range(options.rounds):
        for name in options.scenarios or SCENARIOS:
            print(await run(name, SCENARIOS[name]), flush=True)  # noqa: T201 -- the result


if __name__ == "__main__":
    asyncio.run(main())
