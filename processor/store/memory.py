"""How full Redis is, and what waits in it that will take more."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from redis.exceptions import NoPermissionError

from processor.store.connection import Connection
from processor.store.keys import Keys


class Waiting(NamedTuple):
    """Accepted updates of a source that wait to be taken into jobs."""

    updates: int = 0
    size: int = 0  # bytes of their payloads
    records: int = 0  # bytes of the jobs that they are about, as those were when each came


class MemoryUse(msgspec.Struct, frozen=True):
    """One look at Redis' memory; bytes. Without a limit (`maxmemory` 0) there is no bound."""

    used: int  # as Redis counts it against the limit
    limit: int = 0
    waiting: Mapping[str, Waiting] = {}  # by source
    timers: int = 0  # deadlines of watched jobs
    deliveries: int = 0  # that wait or are under way
    taken: Sequence[int] = ()  # what each shard's pushes were priced at since it was made

    @property
    def fullness(self) -> float:
        """The part of the limit that is used; 0.0 without one."""
        return self.used / self.limit if self.limit else 0.0


class Memory:
    """The memory of the Redis that all shards share."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        """Take the connection and the shards' keys."""
        self._connection = connection
        self._shards = shards

    async def look(self) -> MemoryUse:
        """Read all of it; what is used first, so that what comes in meanwhile counts as waiting.

        Where INFO is denied there is no limit, as far as we know.
        """
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.info("memory")
        for keys in self._shards:
            pipe.hgetall(keys.waiting)
            pipe.hlen(keys.items("ingest"))
            pipe.hlen(keys.items("deliver"))
        info, *rows = await self._connection.ask_each(pipe, NoPermissionError)
        if isinstance(info, NoPermissionError):
            return MemoryUse(0)
        waiting, timers = _waiting(rows[::3]), sum(rows[1::3])
        return MemoryUse(
            used=info["used_memory"] - info.get("mem_not_counted_for_evict", 0),
            limit=info.get("maxmemory") or 0,
            waiting=waiting,
            timers=max(0, timers - sum(w.updates for w in waiting.values())),
            deliveries=sum(rows[2::3]),
            taken=[int(hash_.get(b"taken", 0)) for hash_ in rows[::3]],
        )


def _waiting(hashes: Iterable[Mapping[bytes, bytes]]) -> dict[str, Waiting]:
    """What the shards say of each source, added up; a field is `updates:SOURCE`, and so on."""
    found: dict[str, Waiting] = {}
    for fields in hashes:
        for field, value in fields.items():
            what, _, source = field.decode().partition(":")
            if what in Waiting._fields:
                was = found.get(source, Waiting())
                found[source] = was._replace(**{what: getattr(was, what) + int(value)})
    return found
