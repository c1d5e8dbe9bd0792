"""Jobs whose polls fail, by source, so that they are counted without a look at each job.

A mark ends by itself an hour after the next poll was due: deletions and expiries need not keep it
right.
"""

from collections.abc import Mapping, Sequence

from redis.exceptions import ResponseError

from processor.store.connection import Connection
from processor.store.keys import Keys

GRACE = 3600.0  # seconds by which the next poll may be late


class FailingJobs:
    """The marks of all shards."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        self._connection, self._shards = connection, shards

    async def note(self, keys: Keys, jobs: Mapping[tuple[str, str], float | None]) -> None:
        """Mark jobs (source, name) whose poll failed, by when the next one is due (seconds).

        None removes the mark.
        """
        if not jobs:
            return
        now = await self._connection.now()
        pipe = self._connection.redis.pipeline(transaction=False)
        for (source, name), again_at in jobs.items():
            key = keys.failing(source)
            if again_at is None:
                pipe.zrem(key, name)
                continue
            until = again_at + GRACE
            pipe.zadd(key, {name: int(until * 1000)})
            pipe.zremrangebyscore(key, "-inf", int(now * 1000))
            for condition in ({"nx": True}, {"gt": True}):  # as long as the last mark
                pipe.pexpireat(key, int(until * 1000) + 1, **condition)
        await self._connection.ask_each(pipe, ResponseError)

    async def counts(self, sources: Sequence[str]) -> dict[str, int]:
        """How many jobs of each source have a mark."""
        pipe, now = self._connection.redis.pipeline(transaction=False), await self._connection.now()
        for keys in self._shards:
            for source in sources:
                pipe.zcount(keys.failing(source), int(now * 1000), "+inf")
        rows = await self._connection.ask_each(pipe, ResponseError) if sources else []
        numbers = [row if isinstance(row, int) else 0 for row in rows]  # a key of another type: 0
        return {source: sum(numbers[index :: len(sources)]) for index, source in enumerate(sources)}
