"""Statistics of sources, shared by all workers: collected in memory, written every few seconds.

They cost no call to Redis a job, and no promise depends on them: what a process has collected is
lost with it, and counted twice if the answer of Redis is lost.
"""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from processor.errors import Unavailable
from processor.push_loss import PushLoss
from processor.source_statistics import NO_STATISTICS, JobEnd, SourceStatistics
from processor.store.connection import Connection
from processor.store.keys import STATISTICS

MAX_AGE = 15.0  # seconds for which decisions use one read: a schedule takes 10 ms to learn
MAX_COLLECTED = 1000  # ends of a source's jobs between two writes; more would teach nothing new
REMEMBERED = 30 * 86_400.0  # seconds after the last job of a source that ended

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SourceStatistics).decode


class Written(NamedTuple):
    """What this process has changed in the statistics of a source."""

    source: str
    before: PushLoss
    after: PushLoss


class Statistics:
    """The statistics of all sources, as one process knows them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._used: Mapping[str, SourceStatistics] = {}
        self._refreshed_at = float("-inf")  # on the monotonic clock
        self._known: dict[str, SourceStatistics] = {}  # by the last read or write
        self._texts: dict[str, bytes] = {}  # the same, as they are in Redis
        self._collected: dict[str, list[JobEnd]] = {}

    def of(self, source: str) -> SourceStatistics:
        """What is known about a source, for decisions."""
        return self._used.get(source, NO_STATISTICS)

    def collect(self, ends: Iterable[tuple[str, JobEnd]]) -> None:
        """Note the ends of jobs, each with its source, for the next write."""
        for source, end in ends:
            collected = self._collected.setdefault(source, [])
            if len(collected) < MAX_COLLECTED:
                collected.append(end)

    def forget(self) -> None:
        """Forget what was read from data that was replaced."""
        self._refreshed_at = float("-inf")

    async def refresh(self) -> None:
        """Read what `of` returns again if it is too old; a failure stops no work."""
        if time.monotonic() - self._refreshed_at > MAX_AGE:
            self._refreshed_at = time.monotonic()
            with suppress(Unavailable):
                self._used = await self.read()

    async def read(self) -> Mapping[str, SourceStatistics]:
        """Read the statistics of every source; removes those of sources that are long gone."""
        redis, now = self._connection.redis, await self._connection.now()
        rows = await self._connection.ask(redis.hgetall(STATISTICS))
        texts = {source.decode(): text for source, text in rows.items()}
        known = {s: self._decoded(s, text) for s, text in texts.items()}
        old = [s for s, found in known.items() if now - found.written_at > REMEMBERED]
        if old:
            await self._connection.ask(redis.hdel(STATISTICS, *old))
        self._texts = {s: text for s, text in texts.items() if s not in old}
        self._known = {s: known[s] for s in self._texts}
        return self._known

    def _decoded(self, source: str, text: bytes) -> SourceStatistics:
        """The same object as before if nothing has changed; nothing if an other version wrote it."""
        if self._texts.get(source) == text:
            return self._known[source]
        try:
            return _decode(text)
        except msgspec.DecodeError:
            return NO_STATISTICS

    async def write(self) -> list[Written]:
        """Add what was collected; what another process changes meanwhile is added next time."""
        now = await self._connection.now()
        if not any(self._collected.values()) and not self._due(now):
            return []
        await self.read()
        collected = {s: tuple(ends) for s, ends in self._collected.items() if ends}
        changes = {
            s: (found, found.add(collected.get(s, ()), now))
            for s in collected.keys() | self._due(now)
            for found in [self._known.get(s, NO_STATISTICS)]
        }
        written = []
        for source in await self._swap({s: after for s, (_, after) in changes.items()}):
            before, after = changes[source]
            del self._collected.get(source, [])[: len(collected.get(source, ()))]
            written.append(Written(source, before.push_loss, after.push_loss))
        return written

    async def _swap(self, new: Mapping[str, SourceStatistics]) -> list[str]:
        """Write statistics of sources; those that nobody else has changed since they were read."""
        texts = {source: _encode(found) for source, found in new.items()}
        args: list[bytes | str | float] = [int(REMEMBERED * 1000)]
        for source, text in texts.items():
            args += [source, self._texts.get(source, b""), text]
        done = await self._connection.run("swap_statistics", [STATISTICS], args)
        written = [source for source, row in zip(texts, done, strict=True) if row]
        self._known = self._known | {s: new[s] for s in written}
        self._texts |= {s: texts[s] for s in written}
        return written

    def _due(self, now: float) -> set[str]:
        """Sources with pushes that are missing for so long that they count as lost."""
        return {s for s, found in self._known.items() if found.push_loss.is_due(now)}
