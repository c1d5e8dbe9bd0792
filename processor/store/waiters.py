"""Jobs that somebody waits for: marked for as long as the wait lasts, and polled sooner."""

from collections.abc import Sequence
from typing import NamedTuple

from redis.exceptions import ResponseError

from processor.store.connection import Connection
from processor.store.keys import Keys
from processor.store.planned_poll import LANE_KEYS


class PollBounds(NamedTuple):
    """How far the next poll of a job may be brought forward."""

    floor: float  # seconds between two polls, at least
    not_before: float  # when the provider wants the next poll, in seconds; 0.0: it did not say
    most: int  # jobs of the source that are polled sooner at the same time


class Waiters:
    """The marks of all shards."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through this connection."""
        self._connection = connection

    async def mark(
        self, keys: Keys, source: str, item: str, seconds: float, bounds: PollBounds
    ) -> bool:
        """Mark a job, and bring its next poll forward; False if too many are waited for."""
        lane = keys.lane("poll", source)
        names = [keys.waited(source), *(lane[part] for part in LANE_KEYS)]
        args: list[str | float] = [source, item, int(seconds * 1000), bounds.most]
        args += [int(bounds.floor * 1000), int(bounds.not_before * 1000)]
        return bool(await self._connection.run("mark_waited", names, args))

    async def among(self, keys: Keys, items: Sequence[tuple[str, str]]) -> frozenset[str]:
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
