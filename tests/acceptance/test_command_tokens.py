"""A worker runs the command that prints a source's token; no other process does."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from .feed import Caller
from .processes import free_port
from .provider import Provider
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

HUSH = "hush-hush"
COMMAND = """#!{python} -IS
import os, sys, time
folder = {folder!r}
with open(folder + "/runs", "a") as runs:
    print(os.getppid(), *sorted(os.environ), file=runs)
if os.path.exists(folder + "/hangs"):
    time.sleep(600)
number = len(open(folder + "/runs").readlines())
print('{{"token": "hush-hush-%d", "expires_in": 0.5}}' % number)
"""


class TokenCommand:
    """The command; each run adds a line: the process that ran it, and its variables."""

    def __init__(self, folder: Path) -> None:
        """Write it."""
        self.path, self._runs, self._hangs = folder / "token", folder / "runs", folder / "hangs"
        self.path.write_text(COMMAND.format(python=sys.executable, folder=str(folder)))
        self.path.chmod(0o755)

    @property
    def runs(self) -> list[list[str]]:
        """Its runs."""
        return [line.split() for line in self._runs.read_text().splitlines()]

    def hang(self) -> None:
        """Hang from now on."""
        self._hangs.touch()


@pytest.fixture
def token_command(tmp_path: Path) -> TokenCommand:
    return TokenCommand(tmp_path)


@pytest.fixture
def tokens(plan: Callable[..., System], token_command: TokenCommand) -> tuple[System, int]:
    """A Ringback whose source has such a token, and the port of its provider."""
    port = free_port()
    config = f"""
[sources.cloud]
provider = "google-lro"
base_url = "http://127.0.0.1:{port}"
token = ["exec", "./token"]
learn = false
"""
    return plan(config).start_all(), port


async def running(path: str) -> web.Response:
    """An operation that goes on."""
    return web.json_response({"name": path[1:]})


def config_of(system: System) -> str:
    """What `ringback config` shows."""
    command = [sys.executable, "-m", "processor.cli", "config", "--json"]
    environ = {**os.environ, **system.environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


async def test_a_worker_renews_the_token_and_no_other_process_runs_the_command(
    tokens: tuple[System, int], token_command: TokenCommand
) -> None:
    system, port = tokens
    async with Provider(port, running) as cloud, Caller(system.url) as caller:
        await caller.call("PUT", "/v1/jobs/cloud/operations%2F1", {"poll": {"every": "1s"}})
        assert (await caller.ask("/mirror/cloud/operations/2")).status in (404, 409)
        await until(lambda: len(set(cloud.tokens)) > 1, 20, "a new token")
        shown = await asyncio.to_thread(config_of, system)
        sources = (await caller.ask("/v1/sources")).text
    numbers = range(1, len(cloud.tokens) + 1)
    assert set(cloud.tokens) <= {f"Bearer {HUSH}-{number}" for number in numbers}
    worker = str(system.children["worker"].pid)
    assert {parent for parent, *_ in token_command.runs} == {worker}
    assert all(set(names) <= {"HOME", "PATH", "LC_CTYPE"} for _, *names in token_command.runs)
    assert HUSH not in shown + sources + system.logs()


async def test_a_worker_drains_while_the_command_hangs(
    tokens: tuple[System, int], token_command: TokenCommand
) -> None:
    system, port = tokens
    token_command.hang()
    async with Provider(port, running) as cloud, Caller(system.url) as caller:
        await caller.call("PUT", "/v1/jobs/cloud/operations%2F1", {"poll": {"every": "1s"}})
        await until(lambda: token_command.path.with_name("runs").exists(), 20, "a run")
        worker = system.children["worker"]
        worker.terminate()
        assert worker.wait() == 0  # within 25 s
        assert cloud.tokens == []
