"""Buckets: what is left of the budget of a credential, for all processes, shards and sources.

A bucket is asked right before each request, so a pause holds for every request that was not sent
yet, whoever has claimed it.
"""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from processor.errors import WrongKeyType
from processor.store.connection import Connection
from processor.store.fleet import Fleet
from processor.store.group_commit import GroupCommit
from processor.store.keys import Keys
from processor.store.refusals import wrong_key

TRANSIT = 0.05
"""Of the time that a budget is for: by how much less the ways of two requests to the provider differ."""


class _Request(NamedTuple):
    bucket: str  # its key
    gap: float  # ms per request; 0: no budget
    burst: int  # requests at once
    left: int  # how many of the burst are for others


class Buckets:
    """The buckets of a store, by credential."""

    def __init__(self, connection: Connection, keys: Keys, fleet: Fleet) -> None:
        """`keys` are those of the shard that has all buckets, so that one call asks many."""
        self._connection, self._keys, self._fleet = connection, keys, fleet
        self._names: dict[bytes, str] = {}  # of the buckets, by credential
        self._requests: GroupCommit[_Request, float | WrongKeyType] = GroupCommit(self._take_all)

    async def take(
        self, credential: bytes, budget: tuple[int, float] | None, left: int = 0
    ) -> float | None:
        """Take one request: None if it may be sent now, else before when it may not (seconds).

        `budget` is so many requests in so many seconds; `left` requests of its burst stay for
        others. Many calls at the same time share a round trip.
        """
        gap, burst = pace(budget)
        request = _Request(await self._key(credential), gap, burst, left)
        while True:
            asked = time.monotonic()
            found = await self._requests.add(request)
            if isinstance(found, WrongKeyType):
                raise found
            if found:
                return found / 1000
            if budget is None or time.monotonic() - asked <= budget[1] * TRANSIT / 2:
                return None  # else this process stood still, and the request would be late

    async def park(self, credential: bytes, until: float) -> None:
        """Let nothing be taken before a time in seconds, or for as long as it is parked already."""
        key = await self._key(credential)
        await self._connection.run("park", [key], [math.ceil(until * 1000)])

    async def parked(self, credentials: Sequence[bytes]) -> list[float]:
        """For how many seconds each bucket is still parked; 0.0 if it is not."""
        pipe, now = self._connection.redis.pipeline(transaction=False), await self._connection.now()
        for credential in credentials:
            pipe.hget(await self._key(credential), "parked")
        rows = await self._connection.ask_each(pipe, ResponseError)  # a key of another type: 0.0
        untils = [float(row) if isinstance(row, bytes) else 0.0 for row in rows]
        return [max(until / 1000 - now, 0.0) for until in untils]

    async def _key(self, credential: bytes) -> str:
        if credential not in self._names:
            self._names[credential] = self._keys.bucket(await self._fleet.digest(credential))
        return self._names[credential]

    def forget(self) -> None:
        """Forget the names of the buckets: another store has others."""
        self._names.clear()

    async def _take_all(self, requests: Sequence[_Request]) -> list[float | WrongKeyType]:
        keys = list(dict.fromkeys(request.bucket for request in requests))
        indexes = {key: index for index, key in enumerate(keys, 1)}
        args: list[Any] = []
        for request in requests:
            args += [indexes[request.bucket], *request[1:]]
        rows = await self._connection.run("take", keys, args)
        return [wrong_key(row.decode()) if isinstance(row, bytes) else row for row in rows]


def pace(budget: tuple[int, float] | None) -> tuple[float, int]:
    """How a budget is spent: ms per request (0: none), and how many may start at once (a tenth).

    No span of the budget's time has more requests than the budget, at the provider too: it gets
    them in spans that are longer by less than `TRANSIT`, and such a span has room for less than one
    more than the rest of the budget.
    """
    if budget is None:
        return 0.0, 0
    count, seconds = budget
    burst = max(1, count // 10)
    return seconds * 1000 * (1 + TRANSIT) / (count - burst + 1), burst
