"""Whether what Redis has answered is in its append-only file: a sync of the disk can keep it out.

With `appendfsync everysec` Redis writes its file before it answers, with one exception: while a
sync is under way it puts the write off, until the sync ends or two seconds are over. A Redis that
is killed (`kill -9`) in between loses what it has answered. So before a promise is given, we ask.
"""

import asyncio
import re
import time
from typing import NamedTuple

import structlog

from processor.errors import Overloaded, StoreUnavailable
from processor.store.connection import Connection

LONGEST = 4.0  # seconds to wait for the file; Redis puts a write off for two
PAUSE, LONGEST_PAUSE = 0.002, 0.02  # seconds between questions while a sync is under way
CONNECTIONS = 2  # one for those who wait, one for looks
SLOW = 1.0  # seconds of waiting that are worth a line in the log
CALM = 10.0  # seconds without such a wait until the disk counts as well again

FIELD = re.compile(
    rb"^aof_(enabled|pending_bio_fsync|buffer_length|delayed_fsync|last_write_status):(\w+)",
    re.MULTILINE,
)

log = structlog.get_logger()


class File(NamedTuple):
    """What Redis says of its file (`INFO persistence`); without a file nothing is under way."""

    syncing: bool = False
    waiting: bool = False  # something is not written yet
    forced: int = 0  # times that Redis wrote though a sync was under way, since it began
    broken: bool = False  # the last write failed

    @classmethod
    def of(cls, info: bytes) -> "File":
        """From the text of `INFO persistence`."""
        found = dict(FIELD.findall(info))
        if found.get(b"enabled") == b"0":
            return cls()
        return cls(
            found.get(b"pending_bio_fsync", b"0") != b"0",
            found.get(b"buffer_length", b"0") != b"0",
            int(found.get(b"delayed_fsync", b"0")),
            found.get(b"last_write_status", b"ok") != b"ok",
        )


def has_all(then: File, now: File) -> bool:
    """Whether all that Redis had answered `then` is in its file `now`."""
    return not now.syncing or not now.waiting or now.forced > then.forced


class Persistence:
    """Waits for the file, for all callers of one process together."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection, for one of our own; the disk counts as well."""
        self._connection = connection.apart(CONNECTIONS)
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._disk = Disk()
        self._clear = False

    def note(self, info: bytes) -> None:
        """Take a look at the file that came with a write: no need to ask again if it is clear."""
        file = File.of(info)
        self._clear = bool(info) and not file.syncing and not file.broken

    async def noted(self) -> None:
        """As `written`, for a write with which a look was noted: that, or a later one, counts."""
        if not self._clear:
            await self.written()

    async def written(self) -> None:
        """Return once all that Redis has answered by now is in its file.

        StoreUnavailable if Redis cannot write it, Overloaded if that takes too long.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        await asyncio.shield(self._next)

    async def check_disk(self) -> None:
        """Notice a slow disk, and its recovery, also while no caller waits for it."""
        file = await self._file()
        self._disk.note(0.0, file.forced, time.monotonic())

    async def delayed(self) -> int:
        """How often Redis did not wait for a sync any longer, since it began."""
        return (await self._file()).forced

    async def close(self) -> None:
        """Close our connections."""
        await self._connection.close()

    async def _after(self, running: asyncio.Task[None] | None) -> None:
        """One look at the file for all who asked since the one before began."""
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        began = time.monotonic()
        file = first = await self._file()
        pause = PAUSE
        while not has_all(first, file):
            if time.monotonic() - began > LONGEST:
                self._disk.note(LONGEST, file.forced, time.monotonic())
                raise Overloaded("The disk of Redis is too slow: this is not in its file yet")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            file = await self._file()
        self._disk.note(time.monotonic() - began, file.forced, time.monotonic())
        if file.broken:
            raise StoreUnavailable("Redis cannot write its append-only file: see its log")

    async def _file(self) -> File:
        return File.of(await self._connection.persistence_info())


class Disk:
    """Says in one line that the disk of Redis is slow, and in one that it no longer is."""

    def __init__(self) -> None:
        """It is well."""
        self._forced: int | None = None
        self._slow_at: float | None = None

    def note(self, waited: float, forced: int, now: float) -> None:
        """Take how long somebody waited, and Redis' own count of syncs that took too long."""
        slow = waited >= SLOW or (self._forced is not None and forced > self._forced)
        self._forced = forced
        if slow:
            if self._slow_at is None:
                log.warning("redis_disk_slow", waited=round(waited, 1))
            self._slow_at = now
        elif self._slow_at is not None and now - self._slow_at >= CALM:
            self._slow_at = None
            log.info("redis_disk_recovered")
