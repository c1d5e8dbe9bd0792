"""Polls that wait in the `poll` backlog: when they are due, and how they are brought forward.

The payload of such an item is the interval that its poll was planned with, or FOR_MIRROR.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from processor.store.connection import Connection
from processor.store.group_commit import GroupCommit
from processor.store.keys import Keys

LANE_KEYS = ("lanes", "items", "due", "retries", "claimed", "nudge", "busy")
"""What a script that brings polls forward needs of a lane, in this order."""

FOR_MIRROR = b"mirror"
"""The payload of a poll that a reader of the mirror asked for: a finished job is polled too."""


class PlannedPoll(NamedTuple):
    """A job's next poll. Times in seconds."""

    at: float | None  # not before a pause of its source ends; None: it is being made
    interval: float | None  # since the one before; None: it was asked for, or is the first one


class SoonerPoll(NamedTuple):
    """How far a poll is to be brought forward."""

    item: str
    at: float  # seconds
    floor: float  # seconds since the poll before, at least


def encode_interval(interval: float | None) -> bytes:
    """The payload of a poll that was planned so many seconds ahead."""
    return b"0" if interval is None else b"%.3f" % interval


def decode_interval(payload: bytes) -> float | None:
    """The interval; None for FOR_MIRROR, and for a whole number, which was once a count of failures."""
    return float(payload) if b"." in payload else None


class PlannedPolls:
    """The polls of all shards that wait."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        self._connection, self._shards = connection, shards
        self._next_polls: GroupCommit[tuple[Keys, str, str], PlannedPoll | None] = GroupCommit(
            self._all_next_polls
        )

    async def next_poll(self, keys: Keys, source: str, job: str) -> PlannedPoll | None:
        """A job's next poll, if it is polled; many calls at the same time share a round trip."""
        return await self._next_polls.add((keys, source, job))

    async def _all_next_polls(self, asked: list[tuple[Keys, str, str]]) -> list[PlannedPoll | None]:
        found: dict[tuple[int, str, str], PlannedPoll | None] = {}
        for shard in {keys.shard for keys, _, _ in asked}:
            items = sorted({(lane, item) for keys, lane, item in asked if keys.shard == shard})
            polls = await self._in_shard(self._shards[shard], items)
            found |= {(shard, *item): poll for item, poll in zip(items, polls, strict=True)}
        return [found[keys.shard, lane, item] for keys, lane, item in asked]

    async def _in_shard(
        self, keys: Keys, items: Sequence[tuple[str, str]]
    ) -> list[PlannedPoll | None]:
        """The next polls of jobs (source, name); None for those that are not polled.

        Those of a paused source come when its pause ends.
        """
        if not items:
            return []
        lanes = sorted({lane for lane, _ in items})
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.hmget(keys.paused["poll"], lanes)
        for lane, item in items:
            pipe.zscore(keys.due("poll", lane), item)
            pipe.hget(keys.items["poll"], item)
        pauses, *rows = await self._connection.ask(pipe.execute())
        paused_until = {lane: float(until or 0) for lane, until in zip(lanes, pauses, strict=True)}
        return [
            None
            if payload is None
            else PlannedPoll(
                None if at is None else max(at, paused_until[lane]) / 1000, decode_interval(payload)
            )
            for (lane, _), at, payload in zip(items, rows[::2], rows[1::2], strict=True)
        ]

    async def waiting(
        self, keys: Keys, source: str, cursor: int, count: int
    ) -> tuple[int, list[str]]:
        """About `count` items of a source that wait, and the next cursor; it begins and ends at 0.

        One that waits all the time is returned at least once, unless Redis is restarted.
        """
        command = self._connection.redis.zscan(keys.due("poll", source), cursor, count=count)
        cursor, rows = await self._connection.ask(command)
        return cursor, [item.decode() for item, _ in rows]

    async def bring_forward(self, keys: Keys, source: str, polls: Sequence[SoonerPoll]) -> int:
        """Bring polls of a source forward, unless they were asked for; how many are sooner now."""
        lane = keys.lane("poll", source)
        args: list[Any] = [source]
        for poll in polls:
            args += [poll.item, int(poll.at * 1000), int(poll.floor * 1000)]
        names = [lane[part] for part in LANE_KEYS]
        return int(await self._connection.run("bring_forward", names, args)) if polls else 0
