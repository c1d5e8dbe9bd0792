"""Finds and renames keys by SCAN, a page at a time, so that Redis serves others in between."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from redis.exceptions import ResponseError

from processor.store.connection import Connection

PAGE = 1000  # keys that one step of SCAN visits


class Renamed(NamedTuple):
    """How many keys were renamed, and which were not because their new name is in use."""

    renamed: int
    taken: list[str]


async def pages(connection: Connection, match: str) -> AsyncIterator[list[str]]:
    """The names of all keys that match; SCAN may return a key twice."""
    cursor = -1
    while cursor:
        step = connection.redis.scan(max(cursor, 0), match=match, count=PAGE)
        cursor, found = await connection.ask(step)
        yield [name.decode() for name in found]


async def rename(
    connection: Connection, match: str, new_name: Callable[[str], str | None]
) -> Renamed:
    """Rename all keys that match; `new_name` returns None for a key that keeps its name.

    Safe to run again after it was cut short.
    """
    count, taken = 0, set[str]()
    async for found in pages(connection, match):
        names = [(old, new) for old in found if (new := new_name(old))]
        pipe = connection.redis.pipeline(transaction=False)
        for old, new in names:
            pipe.renamenx(old, new)
        done = await connection.ask_each(pipe, ResponseError) if names else []
        for (old, _), result in zip(names, done, strict=True):
            if isinstance(result, Exception):
                if "no such key" not in str(result):  # of a key that SCAN returned twice
                    raise result
            elif result:
                count += 1
            else:
                taken.add(old)
    return Renamed(count, sorted(taken))
