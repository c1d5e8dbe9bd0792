"""The lock of a data directory: `ringback up` or its Redis holds it."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from processor.cli import lock as module
from processor.cli.lock import lock
from processor.errors import ConfigError


def test_a_second_instance_is_refused_and_the_first_is_named(tmp_path: Path):
    with (
        lock(tmp_path),
        pytest.raises(ConfigError, match=rf"another `ringback up` \(pid {os.getpid()}\)"),
        lock(tmp_path),
    ):
        pass


def test_the_directory_is_free_again_afterwards(tmp_path: Path):
    with lock(tmp_path):
        pass
    with lock(tmp_path):
        pass


def test_a_redis_that_outlives_its_up_still_holds_the_lock(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.2)
    with lock(tmp_path) as held:
        left = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[held]
        )
    (tmp_path / "lock").write_text(str(gone()))
    with pytest.raises(ConfigError, match="that was killed"), lock(tmp_path):
        pass
    left.communicate(b"\n")
    with lock(tmp_path):
        pass


def test_the_lock_waits_while_that_redis_ends(tmp_path: Path):
    with lock(tmp_path) as held:
        left = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(0.3)"], pass_fds=[held]
        )
    (tmp_path / "lock").write_text(str(gone()))
    with lock(tmp_path):
        assert left.wait() == 0


def gone() -> int:
    """The pid of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"--data .*gone"), lock(tmp_path / "gone"):
        pass


def test_a_folder_without_room_for_the_lock_is_named(tmp_path: Path):
    """The kernel refuses the write, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with (
            pytest.raises(ConfigError, match=r"--data .*: use a folder .* with room"),
            lock(tmp_path),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_error_of_the_block_is_none_of_the_lock(tmp_path: Path):
    with pytest.raises(OSError, match="other"), lock(tmp_path):
        raise OSError("other")
