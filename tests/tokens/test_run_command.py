"""A command runs without a shell and without our secrets, and nothing of it outlives its limits."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.errors import ConfigError
from processor.tokens import run_command as tokens_run_command
from processor.tokens.run_command import CommandResult, run_command

Command = Callable[[str], str]

FAMILY = """
import os, sys, time
folder = {folder!r}
generation = 0  # 0: the command, 1: its child, 2: the child of that one
while generation < 2 and not os.fork():
    generation += 1
open(f"{{folder}}/{{os.getpid()}}", "w").close()
while len(os.listdir(folder)) < 3:
    time.sleep(0.01)
if generation == 0:
    {then}
while True:
    time.sleep(60)
"""
"""A command with a child and a grandchild; all of them write down their numbers, and hang."""


class Family:
    """Such a command."""

    def __init__(self, command: Command, folder: Path) -> None:
        """Use an empty folder for the numbers."""
        self._command, self._folder = command, folder
        folder.mkdir()

    def run(self, then: str = "pass") -> None:
        """Run it; the command itself does this before it hangs."""
        run_command([self._command(FAMILY.format(folder=str(self._folder), then=then))])

    def dead(self) -> bool:
        """Whether all three have ended."""
        pids = [int(file.name) for file in self._folder.iterdir()]
        assert len(pids) == 3
        return all(state_of(pid) in (None, "Z", "X") for pid in pids)


@pytest.fixture
def family(command: Command, tmp_path: Path) -> Family:
    return Family(command, tmp_path / "family")


def test_a_command_gets_path_and_home_and_nothing_of_ours(
    command: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RINGBACK_API_KEYS", "hush")
    monkeypatch.setenv("REDIS_URL", "redis://hush")
    program = """
import json, os, sys
print(json.dumps([dict(os.environ), os.getcwd(), sys.argv[1:], sys.stdin.read(), os.getpgrp() == os.getpid(), os.listdir("/proc/self/fd")]))
print("warning", file=sys.stderr)
"""
    words = ["$HOME; echo *", "", "a b"]
    result = run_command([command(program), *words])
    environ, folder, arguments, read, leads, files = json.loads(result.output)
    environ.pop("LC_CTYPE", None)  # Python sets it itself where the locale is C
    assert environ == {name: os.environ[name] for name in ("PATH", "HOME")}
    assert (folder, arguments, read, leads) == ("/", words, "", True)
    assert len(files) == 4  # three, and that of listdir
    assert (result.code, result.error) == (0, b"warning\n")


def test_a_program_is_found_on_the_path(command: Command, monkeypatch: pytest.MonkeyPatch):
    path = Path(command("print('t')"))
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    assert run_command([path.name]) == CommandResult(0, b"t\n", b"")


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program"])
def test_a_program_that_is_missing_is_an_error_with_a_remedy(program: str):
    with pytest.raises(ConfigError, match=r"cannot be started: No such file.*; install it"):
        run_command([program])


def test_a_file_that_may_not_be_run_is_an_error(tmp_path: Path):
    (tmp_path / "plain").write_text("text")
    with pytest.raises(ConfigError, match="cannot be started: Permission denied; "):
        run_command([str(tmp_path / "plain")])


def test_the_exit_code_and_both_outputs_are_returned(command: Command):
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert run_command([command(program)]) == CommandResult(3, b"out\n", b"err\n")


def test_a_command_that_a_signal_ends_has_a_negative_code(command: Command):
    result = run_command([command("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")])
    assert result.code == -9


async def test_a_command_that_hangs_is_killed_with_its_children_and_grandchildren(
    family: Family, wait_until: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tokens_run_command, "TIMEOUT", 2.0)
    with pytest.raises(ConfigError, match="it did not end within 2 s"):
        await asyncio.to_thread(family.run)
    await wait_until(family.dead)


async def test_children_that_keep_the_output_open_are_killed_too(
    family: Family, wait_until: Any, monkeypatch: pytest.MonkeyPatch
):
    """As in `$(…)` of a shell, the output ends when nobody can write to it any more."""
    monkeypatch.setattr(tokens_run_command, "TIMEOUT", 2.0)
    with pytest.raises(ConfigError, match="it did not end within 2 s"):
        await asyncio.to_thread(family.run, "sys.exit()")
    await wait_until(family.dead)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_nobody_waits_for_a_command_that_may_not_be_killed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As below `sudo`: otherwise its source would hang as long as the command does."""
    monkeypatch.setattr(tokens_run_command, "TIMEOUT", 2.0)
    file = tmp_path / "pid"
    program = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(20)"

    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)
    with pytest.raises(ConfigError, match="it did not end within 2 s"):
        run_command([command(program)])
    pid = int(file.read_text())
    assert state_of(pid) == "S"
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("stream", [1, 2])
async def test_a_command_that_prints_too_much_is_killed_with_its_children(
    family: Family, wait_until: Any, stream: int
):
    with pytest.raises(ConfigError, match="it printed more than 65536 bytes"):
        await asyncio.to_thread(family.run, f"os.write({stream}, b'x' * 65537)")
    await wait_until(family.dead)


def test_a_child_that_closed_its_output_is_left_alone(command: Command):
    program = """
import os, subprocess, sys
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid)
"""
    child = int(run_command([command(program)]).output)
    assert state_of(child) == "S"
    os.kill(child, signal.SIGKILL)


def test_64_kib_are_not_too_much(command: Command):
    assert len((run_command([command("print('x' * 65535)")])).output) == 65_536


def state_of(pid: int) -> str | None:
    """The state of a process; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None
