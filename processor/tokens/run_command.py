"""Runs a command without a shell, and collects what it prints: within time and size, or it is killed.

It runs in a thread, so that any event loop will do: uvloop's own way of starting processes hands
further files on to them.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from processor.errors import ConfigError

TIMEOUT = 10.0  # seconds
MAX_OUTPUT = 65_536  # bytes, of standard output and standard error together
PASSED_ON = ("PATH", "HOME")  # variables; all others may hold secrets of ours
FOLDER = "/"  # that a command runs in


class CommandResult(NamedTuple):
    """How a command ended (below 0: by a signal), and what it printed."""

    code: int
    output: bytes
    error: bytes


def run_command(command: Sequence[str]) -> CommandResult:
    """Run a command to its end; ConfigError if it cannot start, or takes or prints too much."""
    ends = time.monotonic() + TIMEOUT
    process = _started(command)
    try:
        output, error = _read(process, ends)
        return CommandResult(process.wait(_left(ends)), output, error)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        raise ConfigError(f"it did not end within {TIMEOUT:g} s") from None
    except BaseException:
        _kill_group(process)
        raise
    finally:
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()


def _started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 -- the operator's own command; there is no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=FOLDER,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            start_new_session=True,
        )
    except OSError as error:
        remedy = "install it where the workers run, or write its whole path"
        raise ConfigError(f"it cannot be started: {error.strerror}; {remedy}") from None


def _read(process: "subprocess.Popen[bytes]", ends: float) -> list[bytes]:
    """Standard output and standard error, once nothing can write to them any more."""
    printed = [b"", b""]
    with selectors.DefaultSelector() as open_streams:
        for number, stream in enumerate(filter(None, (process.stdout, process.stderr))):
            open_streams.register(stream, selectors.EVENT_READ, number)
        while open_streams.get_map():
            ready = open_streams.select(_left(ends))
            if not ready:
                raise subprocess.TimeoutExpired(process.args, TIMEOUT)
            for key, _ in ready:
                data = os.read(key.fd, MAX_OUTPUT)
                printed[key.data] += data
                if not data:
                    open_streams.unregister(key.fileobj)
            if sum(map(len, printed)) > MAX_OUTPUT:
                raise ConfigError(f"it printed more than {MAX_OUTPUT} bytes")
    return printed


def _left(ends: float) -> float:
    return max(ends - time.monotonic(), 0.0)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a command and the processes that it started; it leads a group of its own.

    It has not been waited for, so its number cannot belong to another process yet. What runs as
    another user, as below `sudo`, cannot be killed, and nobody waits for it.
    """
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        return
    process.wait()
