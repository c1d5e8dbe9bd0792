"""Whether what Redis has answered is in its append-only file: a sync of the disk can keep it out.

With `appendfsync everysec` Redis writes its file before it answers, with one exception: while a
sync is under way it puts the write off, until the sync ends or two seconds are over. A Redis that
is killed (`kill -9`) in between loses what it has answered. So before a promise is given, we ask.
"""

import asyncio
import time
from typing import Any, NamedTuple

import structlog

from processor.errors import Overloaded, StoreUnavailable
from processor.store.connection import Connection

LONGEST = 4.0  # seconds to wait for the file; Redis puts a write off for two
PAUSE, LONGEST_PAUSE = 0.002, 0.02  # seconds between questions while a sync is under way
SLOW = 1.0  # seconds of waiting that are worth a line in the log
CALM = 10.0  # seconds without such a wait until the disk counts as well again

log = structlog.get_logger()


class File(NamedTuple):
    """What Redis says of its file (`INFO persistence`); without a file nothing is under way."""

    syncing: bool = False
    waiting: bool = False  # something is not written yet
    forced: int = 0  # times that Redis wrote though a sync was under way, since it began
    broken: bool = False  # the last write failed

    @classmethod
    def of(cls, info: dict[str, Any]) -> "File":
        """From the fields of `INFO persistence`."""
        if not info.get("aof_enabled"):
            return cls()
        return cls(
            bool(info.get("aof_pending_bio_fsync")),
            bool(info.get("aof_buffer_length")),
            int(info.get("aof_delayed_fsync", 0)),
            info.get("aof_last_write_status", "ok") != "ok",
        )


def has_all(then: File, now: File) -> bool:
    """Whether all that Redis had answered `then` is in its file `now`."""
    return not now.syncing or not now.waiting or now.forced > then.forced


class Persistence:
    """Waits for the file, for all callers of one process together."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection; the disk counts as well."""
        self._connection = connection
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._disk = Disk()

    async def written(self) -> None:
        """Return once all that Redis has answered by now is in its file.

        StoreUnavailable if Redis cannot write it, Overloaded if that takes too long.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        await asyncio.shield(self._next)

    async def look(self) -> None:
        """Notice a slow disk, and that it is well again, though nobody waits for it."""
        file = await self._file()
        self._disk.note(0.0, file.forced, time.monotonic())

    async def delayed(self) -> int:
        """How often Redis did not wait for a sync any longer, since it began."""
        return (await self._file()).forced

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
        info = self._connection.redis.info("persistence")
        return File.of(await self._connection.ask(info))


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
