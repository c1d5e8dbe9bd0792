"""The lists of jobs and groups: names of all shards, those whose keys expire last first."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from math import inf

from processor.store.connection import Connection

Position = tuple[float, str]
"""A row of a list: minus the time (ms) when its keys expire, and its name. A list that continues
after a position holds when rows are added, moved or removed, the row at the position included."""

START: Position = (-inf, "")


async def listed(
    connection: Connection, lists: Sequence[str], after: Position, count: int
) -> list[Position]:
    """The first `count` rows after a position, merged from one sorted set per shard; fewer only at
    the end. Of those that expire at the same time the last name is first, as Redis orders them.
    """
    found = await asyncio.gather(*(_of_shard(connection, key, after, count) for key in lists))
    return sorted(chain.from_iterable(found), key=_order, reverse=True)[:count]


async def _of_shard(
    connection: Connection, key: str, after: Position, count: int
) -> list[Position]:
    """Those of one sorted set, read by one command: between two of them rows could move.

    Redis finds a score and no name, so more are read if many before `after` have its score.
    """
    most = count + 1  # with the row at the position
    while True:
        command = connection.redis.zrange(
            key,
            -after[0],
            "-inf",
            desc=True,
            byscore=True,
            offset=0,
            num=most,
            withscores=True,
        )
        rows = [(-score, name.decode()) for name, score in await connection.ask(command)]
        found = [row for row in rows if _order(row) < _order(after)]
        if len(found) >= count or len(rows) < most:
            return found
        most *= 2


def _order(row: Position) -> tuple[float, str]:
    """What rows are sorted by, from the highest to the lowest."""
    return -row[0], row[1]
