"""Rewrites of the embedded Redis' append-only file, at a low priority.

Redis forks a child for a rewrite, which takes a whole core while it runs. On a small machine with
much to do, callbacks then come ten times as late. So we begin the rewrite before Redis would, in a
quiet moment if there is one, and its child gives way to everybody else. It still gets a tenth of a
core that others want, so that it ends.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from processor.cli.child import give_way
from processor.cli.embedded_redis import RedisSetup, ask

MB = 1024 * 1024
WHEN_QUIET = (256 * MB, 2.0)  # the file's size at least, and times its size after the last rewrite
ALWAYS = (1024 * MB, 2.5)  # the same while much is written; it is loaded in some 4 s
QUIET = 8 * MB  # bytes a second that are written at most
LOOK_EVERY = 1.0  # seconds
SHORTEST_LOOK = 0.9  # seconds in which it may be seen how much is written
AGAIN, LONGEST = 60.0, 3600.0  # seconds until the next attempt: more after each that has failed
SWITCHED_OFF = "\r\n0\r\n"  # the percentage in the answer: a backup copies the files
NICE = 10  # how much Redis' child gives way to `up`, as `nice` has it


class FileRewrites:
    """Rewrites the file of one Redis when it has grown."""

    def __init__(self, setup: RedisSetup, pid: Callable[[], int | None]) -> None:
        """`pid` returns that of the Redis that runs now."""
        self._setup = setup
        self._pid = pid
        self._last = File("", 0, 0)  # at the last look
        self._looked_at = float("-inf")  # monotonic
        self._tried = ""  # the file that the last attempt was to replace
        self._pause = AGAIN
        self._next = 0.0

    def check(self) -> None:
        """Begin a rewrite if it is time; without Redis nothing happens. It may be called often."""
        now = time.monotonic()
        if now - self._looked_at < SHORTEST_LOOK or (file := file_in(self._setup.files)) is None:
            return
        written = file.size - (self._last.size if self._last.name == file.name else 0)
        quiet = written <= QUIET * (now - self._looked_at)
        self._last, self._looked_at = file, now
        if not outgrown(file, WHEN_QUIET if quiet else ALWAYS):
            return
        if file.name == self._tried and now < self._next:
            return
        self._pause = min(2 * self._pause, LONGEST) if file.name == self._tried else AGAIN
        with contextlib.suppress(OSError):
            if SWITCHED_OFF in ask(self._setup.socket, "CONFIG GET auto-aof-rewrite-percentage"):
                self._pause = AGAIN  # a backup is not a failed attempt
            else:
                self._begin()
        self._tried, self._next = file.name, now + self._pause

    def _begin(self) -> None:
        ask(self._setup.socket, "BGREWRITEAOF")
        for child in children(self._pid()):
            give_way(child, NICE)


class File(NamedTuple):
    """The append-only file: the part that the last rewrite wrote, and sizes in bytes."""

    name: str
    rewritten: int
    size: int  # with what came since


def file_in(folder: Path) -> File | None:
    """The append-only file of a folder; None if it is missing or cannot be read now."""
    with contextlib.suppress(OSError):  # a rewrite has just ended, or the disk fails
        grown = sum(file.stat().st_size for file in folder.glob("*.incr.aof"))
        bases = [(file.stat().st_mtime, file) for file in folder.glob("*.base.*")]
        if bases:
            base = max(bases)[1]
            size = base.stat().st_size
            return File(base.name, size, size + grown)
    return None


def outgrown(file: File, limit: tuple[int, float]) -> bool:
    """Whether a file has reached a limit: its size, and times its size after the last rewrite."""
    smallest, growth = limit
    return file.size >= max(smallest, growth * file.rewritten)


def children(pid: int | None) -> list[int]:
    """The children of a process; none where the system does not say."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:
        return []
    return [int(child) for child in found.split()]
