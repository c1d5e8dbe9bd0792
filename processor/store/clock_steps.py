"""Notices steps of Redis' clock by our monotonic clock, and undoes them in waiting work."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from redis.exceptions import ResponseError

from processor.errors import WrongKeyType
from processor.store.connection import Connection
from processor.store.keys import BACKLOGS, META, Keys

NOTICED = 1.0  # the shortest step, in seconds; NTP slews the clock for less
SETTLED = 1.5  # seconds after a step until every process has the new time
PIECE = 500  # items of a lane that one call moves


class ClockReading(NamedTuple):
    """How far Redis' time is ahead of our monotonic clock: `low` to `high` seconds."""

    low: float
    high: float
    store: str | None  # the store's own id
    steps: int  # that are noted in the store


def stepped(before: ClockReading, now: ClockReading) -> float:
    """By how many seconds Redis' clock was changed between two readings (below 0: back), or 0.0."""
    back, forward = before.low - now.high, now.low - before.high
    if max(back, forward) <= NOTICED:
        return 0.0
    return (now.low + now.high - before.low - before.high) / 2


class ClockSteps:
    """Watches Redis' clock for one process."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], lease: float) -> None:
        """Take the lease in seconds."""
        self._connection = connection
        self._shards = shards
        self._lease = int(lease * 1000)
        self._before: ClockReading | None = None
        self._late: dict[tuple[Keys, str, bytes, bytes], int] = {}

    async def check(self) -> float:
        """By how many seconds the clock was changed since the last check; notes a step back."""
        before, now = self._before, await self._see()
        self._before = now
        if (
            before is None or before.store != now.store
        ):  # other data: its times are by its own clock
            return 0.0
        step = stepped(before, now)
        if step < 0 and before.steps == now.steps:
            await self._connection.run("note_clock_step", [META], [now.steps, int(-step * 1000)])
        return step

    async def _see(self) -> ClockReading:
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.time()
        pipe.hmget(META, "id", "steps")
        before = time.monotonic()
        (seconds, micros), (store, steps) = await self._connection.ask(pipe.execute())
        at = seconds + micros / 1e6
        id_ = store.decode() if store else None
        return ClockReading(at - time.monotonic(), at - before, id_, int(steps or 0))

    async def undo(self) -> bool:
        """Undo a noted step in the times of waiting work; True if there was one."""
        fields = "steps", "step", "stepped", "undone"
        redis = self._connection.redis
        row = await self._connection.ask(redis.hmget(META, *fields))
        steps, step, at, undone = (int(value or 0) for value in row)
        if steps == undone or await self._connection.now() < at / 1000 + SETTLED:
            return False
        for keys in self._shards:
            for backlog in BACKLOGS:
                await self._undo(keys, backlog, [steps, step, at])
        await self._connection.ask(redis.hset(META, "undone", steps))
        return True

    async def _undo(self, keys: Keys, backlog: str, step: list[int]) -> None:
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.zrange(keys.lanes[backlog], 0, -1)
        pipe.hkeys(keys.paused[backlog])
        pipe.hkeys(keys.rate_limit[backlog])
        rows = await self._connection.ask(pipe.execute())
        shared = [
            keys.clock_step,
            *(k[backlog] for k in (keys.lanes, keys.paused, keys.rate_limit)),
        ]
        for name in {name for row in rows for name in row}:
            lane = name.decode()
            own = [k(backlog, lane) for k in (keys.claimed, keys.due, keys.retries)]
            with suppress(WrongKeyType):  # what needs that key waits anyway
                while await self._connection.run(
                    "undo_clock_step", [*shared, *own], [*step, lane, PIECE]
                ):
                    pass

    async def end_leases(self) -> int:
        """End leases that end later than any new lease, if they did at the last call already.

        Call it once per lease: a live worker has renewed its leases since. Returns how many ended.
        """
        before, self._late = self._late, {}
        ended = 0
        for keys in self._shards:
            for backlog in BACKLOGS:
                for lane, item, token in await self._too_late(keys, backlog):
                    held = keys, backlog, lane, item
                    self._late[held] = token
                    if before.get(held) == token:
                        names = [keys.lanes[backlog], keys.claimed(backlog, lane.decode())]
                        args: list[bytes | int] = [self._lease, lane, item, token]
                        with suppress(WrongKeyType):
                            ended += await self._connection.run("end_leases", names, args)
        return ended

    async def _too_late(self, keys: Keys, backlog: str) -> Iterator[tuple[bytes, bytes, int]]:
        redis = self._connection.redis
        lanes = await self._connection.ask(redis.zrange(keys.lanes[backlog], 0, -1))
        least = f"({int(await self._connection.now() * 1000) + self._lease + 1000}"
        found: list[tuple[bytes, bytes, int]] = []
        for first in range(0, len(lanes), PIECE):
            batch = lanes[first : first + PIECE]
            pipe = redis.pipeline(transaction=False)
            for lane in batch:
                held = keys.claimed(backlog, lane.decode())
                pipe.zrange(held, least, "+inf", byscore=True, withscores=True, offset=0, num=PIECE)
            rows = await self._connection.ask_each(pipe, ResponseError)
            for lane, row in zip(batch, rows, strict=True):
                if not isinstance(row, ResponseError):  # else the key is not Ringback's
                    found += [(lane, item, int(at)) for item, at in row]
        return iter(found)
