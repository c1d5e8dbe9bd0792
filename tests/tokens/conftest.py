"""Real commands, and both event loops to run them in."""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def in_a_thread(work: Coroutine[Any, Any, Any]) -> Any:
    """Run on uvloop in a thread that is not the main one, as a worker does."""
    results: list[Any] = []

    async def kept() -> None:
        try:
            results.append(await work)
        except Exception as error:  # noqa: BLE001 -- raised again below
            results.append(error)

    thread = threading.Thread(target=lambda: uvloop.run(kept()))
    thread.start()
    thread.join()
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


@pytest.fixture(params=[asyncio.run, uvloop.run, in_a_thread], ids=["asyncio", "uvloop", "thread"])
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.param
    return found


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], str]:
    """Makes an executable of a Python program; its path. Each run adds a line to `runs`."""

    def make(program: str) -> str:
        path = tmp_path / "command"
        note = f"open({str(tmp_path / 'runs')!r}, 'a').write('run\\n')\n"
        path.write_text(f"#!{sys.executable} -IS\n{note}{program}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], int]:
    """How often the commands of this test ran."""
    path = tmp_path / "runs"
    return lambda: len(path.read_text().splitlines()) if path.exists() else 0
