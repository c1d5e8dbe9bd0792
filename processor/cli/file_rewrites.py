"""Rewrites of the embedded Redis' append-only file, at a low priority.

Redis forks a child for a rewrite, which takes a whole core while it runs. On a small machine with
much to do, callbacks then come ten times as late. So we begin the rewrite, a little before Redis
would, and its child gives way to everybody else. It still gets a tenth of a core that others want,
so that it ends.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

SMALLEST = 256 * 1024 * 1024  # bytes; rewriting a small file costs more than it saves
GROWTH = 2.0  # times its size after the last rewrite
LOOK_EVERY = 1.0  # seconds
AGAIN = 60.0  # seconds until the next attempt, if the last one has not succeeded yet
REDIS_LATER = {"auto-aof-rewrite-min-size": "384mb", "auto-aof-rewrite-percentage": "150"}
"""When Redis rewrites its file itself, since nobody else did."""

SWITCHED_OFF = b"\r\n0\r\n"  # in the answer: backups copy files that must not change
NICE = 10  # as `nice` has it


class FileRewrites:
    """Rewrites the file of one Redis when it has grown."""

    def __init__(self, socket_path: Path, folder: Path, pid: Callable[[], int | None]) -> None:
        """`folder` has the append-only files; `pid` is that of the Redis that runs now."""
        self._socket = socket_path
        self._folder = folder
        self._pid = pid
        self._tried = ""  # the file that the last attempt was to replace
        self._next = 0.0

    def check(self) -> None:
        """Begin a rewrite if it is time; without Redis nothing happens."""
        file, now = outgrown(self._folder), time.monotonic()
        if file is None or (file == self._tried and now < self._next):
            return
        self._tried, self._next = file, now + AGAIN
        with contextlib.suppress(OSError):
            if SWITCHED_OFF in self._ask(b"CONFIG GET auto-aof-rewrite-percentage"):
                return
            self._ask(b"BGREWRITEAOF")
            for child in children(self._pid()):
                os.setpriority(os.PRIO_PROCESS, child, NICE)

    def _ask(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1.0)
            line.connect(str(self._socket))
            line.sendall(command + b"\r\n")
            return line.recv(1024)


def outgrown(folder: Path) -> str | None:
    """The name of the file that the last rewrite wrote, if so much came since that it is time for
    the next one.
    """
    with contextlib.suppress(FileNotFoundError):  # a rewrite has just ended
        grown = sum(file.stat().st_size for file in folder.glob("*.incr.aof"))
        bases = [(file.stat().st_mtime, file) for file in folder.glob("*.base.*")]
        if bases:
            base = max(bases)[1]
            size = base.stat().st_size
            if size + grown >= max(SMALLEST, GROWTH * size):
                return base.name
    return None


def children(pid: int | None) -> list[int]:
    """The children of a process; none where the system does not say."""
    try:
        return [
            int(child)
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        ]
    except OSError:
        return []
