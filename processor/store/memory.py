"""How full Redis is, and how much work waits in it that will need more memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from processor.errors import MissingPermission
from processor.store.connection import Connection
from processor.store.keys import Keys


class Waiting(NamedTuple):
    """Accepted updates of a source that wait for ingest."""

    updates: int = 0
    size: int = 0  # bytes of their payloads
    records: int = 0  # bytes of the records of their jobs, when each update was accepted


class MemoryUse(msgspec.Struct, frozen=True):
    """Redis' memory as it was read once, in bytes. A `limit` of 0: none."""

    used: int  # as Redis counts it against the limit
    limit: int = 0
    waiting: Mapping[str, Waiting] = {}  # by source
    timers: int = 0  # deadlines of watched jobs
    deliveries: int = 0  # that wait or are claimed
    overflow: int = 0  # deliveries that are only in the log yet
    taken: Sequence[int] = ()  # by shard: the sum of the prices of all its pushes so far

    @property
    def fullness(self) -> float:
        """The part of the limit that is used; 0.0 without one."""
        return self.used / self.limit if self.limit else 0.0


class Memory:
    """The memory of the Redis that all shards share."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        self._connection = connection
        self._shards = shards

    async def read(self) -> MemoryUse:
        """Read everything; the used memory first, so that what is accepted during the read counts
        as waiting.

        If INFO is denied, the limit is unknown, and there is none.
        """
        try:
            info = await self._connection.ask(self._connection.redis.info("memory"))
        except MissingPermission:
            info = {"used_memory": 0}
        rows = [await self._read(keys) for keys in self._shards]
        waiting = _waiting(fields for fields, *_ in rows)
        return MemoryUse(
            used=info["used_memory"] - info.get("mem_not_counted_for_evict", 0),
            limit=info.get("maxmemory") or 0,
            waiting=waiting,
            timers=max(0, sum(n for _, n, *_ in rows) - sum(w.updates for w in waiting.values())),
            deliveries=sum(n for *_, n, _ in rows),
            overflow=sum(n for *_, n in rows),
            taken=[int(fields.get(b"taken", 0)) for fields, *_ in rows],
        )

    async def _read(self, keys: Keys) -> tuple[dict[bytes, bytes], int, int, int]:
        names = [keys.waiting, keys.items["ingest"], keys.items["deliver"], keys.overflow]
        fields, *counts = await self._connection.run("memory", names, [])
        return dict(zip(fields[::2], fields[1::2], strict=True)), *counts


def _waiting(hashes: Iterable[Mapping[bytes, bytes]]) -> dict[str, Waiting]:
    """The sums over all shards by source; a field is `updates:SOURCE`, `size:SOURCE` and so on."""
    found: dict[str, Waiting] = {}
    for fields in hashes:
        for field, value in fields.items():
            word, _, source = field.decode().partition(":")
            if word in Waiting._fields:
                total = found.get(source, Waiting())
                found[source] = total._replace(**{word: getattr(total, word) + int(value)})
    return found
