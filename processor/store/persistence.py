"""Whether everything that Redis has answered is in its append-only file, despite a slow disk.

With `appendfsync everysec` Redis writes its file before it answers, with one exception: while a
sync is running, it postpones the write until the sync ends, or for two seconds. A Redis that is
killed (`kill -9`) in between loses what it has answered. So Ringback asks before it promises, and
only the Redis that has answered can say so: another one knows nothing of what was lost.
"""

import asyncio
import re
import time
from typing import NamedTuple

import structlog

from processor.errors import Overloaded, StoreUnavailable
from processor.store.connection import Connection

LONGEST = 4.0  # seconds to wait for the file; Redis postpones a write for two
PAUSE, LONGEST_PAUSE = 0.002, 0.02  # seconds between reads while a sync is running
CONNECTIONS = 2  # one for callers that wait, one for check_disk
SLOW = 1.0  # seconds of waiting that are logged
CALM = 10.0  # seconds without such a wait until the disk counts as recovered

FIELD = re.compile(
    rb"^(?:aof|master)_(replid|enabled|pending_bio_fsync|buffer_length|delayed_fsync"
    rb"|last_write_status):(\w+)",
    re.MULTILINE,
)

log = structlog.get_logger()


class File(NamedTuple):
    """The state of Redis' append-only file, from `INFO replication persistence`."""

    history: bytes = b""  # the id of the history of its data, another one after each restart
    syncing: bool = False
    waiting: bool = False  # a write was postponed
    forced: int = 0  # how often Redis wrote during a sync, since Redis started
    broken: bool = False  # the last write failed

    @classmethod
    def of(cls, info: bytes) -> "File":
        """From the text of `INFO replication persistence`."""
        found = dict(FIELD.findall(info))
        history = found.get(b"replid", b"")
        if found.get(b"enabled") == b"0":
            return cls(history)
        return cls(
            history,
            found.get(b"pending_bio_fsync", b"0") != b"0",
            found.get(b"buffer_length", b"0") != b"0",
            int(found.get(b"delayed_fsync", b"0")),
            found.get(b"last_write_status", b"ok") != b"ok",
        )


def has_all(then: File, now: File) -> bool:
    """Whether everything that Redis had answered `then` is in its file `now`."""
    return not now.syncing or not now.waiting or now.forced > then.forced


class Persistence:
    """Waits for the file, once for all callers of a process that wait."""

    def __init__(self, connection: Connection) -> None:
        """Use connections of its own to the same Redis."""
        self._connection = connection.with_own_pool(CONNECTIONS)
        self._running: asyncio.Task[bytes] | None = None
        self._next: asyncio.Task[bytes] | None = None
        self._disk = Disk()

    @property
    def history(self) -> bytes | None:
        """The id of Redis' data, as it was read last; None if INFO is denied.

        Each new connection reads it. So right after a call it is that of the Redis which answered: no
        other call connects again in that moment.
        """
        return self._connection.watchdog.history

    async def history_now(self) -> bytes | None:
        """The same before calls: Redis may have been replaced since the last connection was made."""
        await self._connection.renew()
        return self.history

    async def written(self, history: bytes | None) -> None:
        """Return once everything that Redis has answered by now is in its file. Only a later answer of
        Redis can say so: it writes its file after it has run what it has read.

        `history` is ours from right after the write, or from before it. StoreUnavailable if Redis has
        another one by now, or cannot write its file; Overloaded if that takes too long.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        now = await asyncio.shield(self._next)
        if history is not None and history != now:
            raise StoreUnavailable("Redis was restarted or replaced: it may have lost this write")

    async def check_disk(self) -> None:
        """Notice a slow disk, and its recovery, even if no caller waits."""
        file = await self._file()
        self._disk.note(0.0, file.forced, time.monotonic())

    async def delayed(self) -> int:
        """How often Redis wrote during a sync, since Redis started."""
        return (await self._file()).forced

    async def close(self) -> None:
        """Close these connections."""
        await self._connection.close()

    async def _after(self, running: asyncio.Task[bytes] | None) -> bytes:
        """One wait for all callers that asked since the last one began; the id of Redis' data."""
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
        if file.waiting:  # Redis writes it after this answer; only the next one says how that went
            file = await self._file()
        self._disk.note(time.monotonic() - began, file.forced, time.monotonic())
        if file.broken:
            raise StoreUnavailable("Redis cannot write its append-only file: see its log")
        return file.history

    async def _file(self) -> File:
        file = File.of(await self._connection.persistence_info())
        self._connection.watchdog.history = file.history
        return file


class Disk:
    """Logs once that the disk of Redis is slow, and once that it has recovered."""

    def __init__(self) -> None:
        self._forced: int | None = None
        self._slow_at: float | None = None

    def note(self, waited: float, forced: int, now: float) -> None:
        """Note how long a caller waited, and how often Redis wrote during a sync."""
        slow = waited >= SLOW or (self._forced is not None and forced > self._forced)
        self._forced = forced
        if slow:
            if self._slow_at is None:
                log.warning("redis_disk_slow", waited=round(waited, 1))
            self._slow_at = now
        elif self._slow_at is not None and now - self._slow_at >= CALM:
            self._slow_at = None
            log.info("redis_disk_recovered")
