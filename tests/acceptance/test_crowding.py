"""Strangers who hold connections and bodies do not keep honest pushes out, nor fill the memory.

The full sizes are those of `python -m bench hostile`; docs/operations.md has its figures.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from .conftest import standard
from .probe import peak, probe, resident
from .system import System

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

MIB = 1024 * 1024
SECONDS = 4.0
SLOWER = 5  # times, at most, that an attack makes 99 of 100 answers
LATE = 0.25  # seconds that are no delay worth mentioning on a machine that others use too


@contextlib.asynccontextmanager
async def attack(kind: str, port: int, count: int, size: int = 0) -> AsyncIterator[None]:
    """Attackers in a process of their own, all of them connected once."""
    words = [kind, str(port), str(count), str(size), "/hooks/feed"]
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("attack.py")),
        *words,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout
        await asyncio.wait_for(child.stdout.readline(), 20)
        yield
    finally:
        child.kill()
        await child.wait()


async def hold_out(system: System, kind: str, count: int, size: int = 0) -> None:
    """Push without and with an attack: all are taken, and hardly later."""
    alone = await probe(system.port, "feed", "alone", SECONDS)
    async with attack(kind, system.port, count, size):
        attacked = await probe(system.port, "feed", "attacked", SECONDS)
    measured = f"alone {alone}; attacked {attacked}"
    assert set(attacked.statuses) == {202}, measured
    assert attacked.part(0.99) <= SLOWER * max(alone.part(0.99), LATE), measured


async def test_bodies_that_never_end(plan: Callable[..., System]) -> None:
    system = plan(standard("feed")).start_all()
    web = system.children["web"].pid
    await probe(system.port, "feed", "warm", 1)
    idle = resident(web)
    await hold_out(system, "bodies", 300, 1_000_001)
    assert peak(web) - idle < 200 * MIB
    assert resident(web) - idle < 150 * MIB
    assert "Traceback" not in system.children["web"].log()


async def test_connections_that_say_nothing(plan: Callable[..., System]) -> None:
    system = plan(standard("feed")).start_all(files=256)
    await hold_out(system, "silent", 400)
    assert "Traceback" not in system.children["web"].log()
