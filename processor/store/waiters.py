"""Jobs that somebody waits for: marked for as long as the wait lasts, and polled sooner."""

import asyncio
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from redis.exceptions import ResponseError

from processor.errors import WrongKeyType
from processor.store.connection import Connection
from processor.store.group_commit import GroupCommit
from processor.store.keys import Keys
from processor.store.planned_poll import LANE_KEYS

_seconds = attrgetter("seconds")


class WaitMark(NamedTuple):
    """A job that somebody waits for, and how far its next poll may be brought forward."""

    keys: Keys
    source: str
    item: str
    seconds: float  # for so long
    floor: float  # seconds between two polls, at least
    not_before: float  # when the provider wants the next poll, in seconds; 0.0: it did not say
    most: int  # jobs of the source that are polled sooner at the same time


class Waiters:
    """The marks of all shards."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through this connection."""
        self._connection = connection
        self._marking: GroupCommit[WaitMark, bool] = GroupCommit(self._mark_all)

    async def mark(self, marks: Sequence[WaitMark]) -> list[bool]:
        """Mark jobs, and bring their next polls forward: False for one if too many are waited for.

        Many calls at the same time share a round trip for each source.
        """
        return await self._marking.add_all(marks)

    async def _mark_all(self, marks: Sequence[WaitMark]) -> list[bool]:
        by_source: dict[tuple[int, str], dict[str, WaitMark]] = {}
        for mark in marks:
            of_source = by_source.setdefault((mark.keys.shard, mark.source), {})
            of_source[mark.item] = max(mark, of_source.get(mark.item, mark), key=_seconds)
        parts = [self._mark_source(list(found.values())) for found in by_source.values()]
        marked = frozenset[tuple[int, str]]().union(*await asyncio.gather(*parts))
        return [(mark.keys.shard, mark.item) in marked for mark in marks]

    async def _mark_source(self, marks: Sequence[WaitMark]) -> set[tuple[int, str]]:
        """Mark jobs of one source and shard; those that are marked, by shard and name."""
        keys, source = marks[0].keys, marks[0].source
        lane = keys.lane("poll", source)
        names = [keys.waited(source), *(lane[part] for part in LANE_KEYS)]
        args: list[str | float] = [source]
        for mark in marks:
            args += [mark.item, int(mark.seconds * 1000), mark.most]
            args += [int(mark.floor * 1000), int(mark.not_before * 1000)]
        try:
            done = await self._connection.run("mark_waited", names, args)
        except WrongKeyType:  # then they are polled as if nobody waited
            return set()
        return {(keys.shard, m.item) for m, marked in zip(marks, done, strict=True) if marked}

    async def among(self, keys: Keys, items: Iterable[tuple[str, str]]) -> frozenset[str]:
        """Those of some jobs of a shard (source, item) that are waited for now."""
        by_source: dict[str, list[str]] = {}
        for source, item in items:
            by_source.setdefault(source, []).append(item)
        pipe = self._connection.redis.pipeline(transaction=False)
        for source, own in by_source.items():
            pipe.zmscore(keys.waited(source), own)
        now = await self._connection.now() * 1000
        rows = await self._connection.ask_each(pipe, ResponseError)
        marks = {
            item: until
            for own, row in zip(by_source.values(), rows, strict=True)
            if not isinstance(row, ResponseError)  # a key of another type: as if nobody waited
            for item, until in zip(own, row, strict=True)
        }
        return frozenset(item for item, until in marks.items() if until and until > now)
