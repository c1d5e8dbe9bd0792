"""Rewrites of the embedded Redis' append-only file, at a low priority.

Redis forks a child for a rewrite, which takes a whole core while it runs. On a small machine with
much to do, callbacks then come ten times as late. So we begin the rewrite, a little before Redis
would, and its child gives way to everybody else. It still gets a tenth of a core that others want,
so that it ends.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from processor.cli.embedded_redis import RedisSetup, ask

SMALLEST = 256 * 1024 * 1024  # bytes; rewriting a small file costs more than it saves
GROWTH = 2.0  # times its size after the last rewrite
LOOK_EVERY = 1.0  # seconds
AGAIN, LONGEST = 60.0, 3600.0  # seconds until the next attempt: more after each that has failed
SWITCHED_OFF = "\r\n0\r\n"  # the percentage in the answer: a backup copies the files
NICE = 10  # the priority of Redis' child, as `nice` has it


class FileRewrites:
    """Rewrites the file of one Redis when it has grown."""

    def __init__(self, setup: RedisSetup, pid: Callable[[], int | None]) -> None:
        """`pid` returns that of the Redis that runs now."""
        self._setup = setup
        self._pid = pid
        self._tried = ""  # the file that the last attempt was to replace
        self._pause = AGAIN
        self._next = 0.0

    def check(self) -> None:
        """Begin a rewrite if it is time; without Redis nothing happens."""
        file, now = outgrown(self._setup.files), time.monotonic()
        if file is None or (file == self._tried and now < self._next):
            return
        self._pause = min(2 * self._pause, LONGEST) if file == self._tried else AGAIN
        with contextlib.suppress(OSError):
            if SWITCHED_OFF in ask(self._setup.socket, "CONFIG GET auto-aof-rewrite-percentage"):
                self._pause = AGAIN  # that is no failure
            else:
                self._begin()
        self._tried, self._next = file, now + self._pause

    def _begin(self) -> None:
        ask(self._setup.socket, "BGREWRITEAOF")
        for child in children(self._pid()):
            os.setpriority(os.PRIO_PROCESS, child, NICE)


def outgrown(folder: Path) -> str | None:
    """The name of the file that the last rewrite wrote, if so much came since that it is time for
    the next one.
    """
    with contextlib.suppress(OSError):  # a rewrite has just ended, or the disk cannot be read now
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
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:
        return []
    return [int(child) for child in found.split()]
