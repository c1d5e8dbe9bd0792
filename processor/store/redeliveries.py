"""Deliveries that are made again: reads what ended, enqueues it again, makes a retry due now."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from processor.model import Delivery
from processor.store.connection import Connection
from processor.store.keys import Keys, day_of
from processor.store.script_args import ScriptArgs
from processor.store.stream_ids import BEGIN, sort_key
from processor.store.work_items import WorkItem

DAYS = range(-8, 2)
"""Days around today on which an event of the log can have been delivered: the log is trimmed a
little late, and the clock of the process that wrote may have been a little ahead."""

PIECE = 1000  # waiting deliveries that are looked at at once


class ReadPosition(NamedTuple):
    """How far the records of a target's ended deliveries were read, as stream ids."""

    delivered: str = BEGIN
    dead: str = BEGIN


class Ended(Delivery, frozen=True, kw_only=True):
    """The record of an ended delivery: what it was, and how it ended."""

    state: str


class Redelivery(msgspec.Struct, frozen=True):
    """A delivery to make again, with the body that its event has in the log."""

    item: WorkItem
    event: str
    body: bytes


_decode = msgspec.json.Decoder(Ended).decode


class Redeliveries:
    """Deliveries of one target in one shard, to make them again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ended(
        self, keys: Keys, target: str, seen: ReadPosition
    ) -> tuple[list[Ended], ReadPosition]:
        """Deliveries that ended after the position `seen`, oldest first, and the position after."""
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.xrange(keys.delivered(target), min=f"({seen.delivered}")
        pipe.xrange(keys.dead(target), min=f"({seen.dead}")
        both = await self._connection.ask(pipe.execute())
        last = [rows[-1][0].decode() if rows else old for rows, old in zip(both, seen, strict=True)]
        merged = sorted((row for rows in both for row in rows), key=lambda row: sort_key(row[0]))
        return [_decode(fields[b"delivery"]) for _, fields in merged], ReadPosition(*last)

    async def queue(
        self,
        keys: Keys,
        target: str,
        seen: ReadPosition,
        items: Sequence[Redelivery],
        *,
        again: bool,
        bounded: bool = True,
    ) -> list[str]:
        """Enqueue deliveries again; returns for each `queued`, `pending` or `delivered`.

        With `again` this includes what was delivered, except after the position `seen`.
        Overloaded if this is `bounded` and Redis is out of memory.
        """
        if not items:
            return []
        today = day_of(await self._connection.now())
        args = ScriptArgs(keys, keys.delivered(target))
        days = [] if again else [keys.delivered_ids(target, today + day) for day in DAYS]
        for redelivery in items:
            args.add_item(redelivery.item)
            args.add(args.key(keys.event(redelivery.event)), args.blob(redelivery.body))
        packed = args.pack(
            seen=seen.delivered,
            days=[args.key(day) for day in days],
            ids=[redelivery.event for redelivery in items],
        )
        done = await self._connection.run("replay", args.keys, packed, bounded=bounded)
        return [word.decode() for word in done]

    async def run_now(self, keys: Keys, lane: str, delivery: str) -> bool:
        """Make a waiting delivery due now; False if it neither waits nor is claimed."""
        args = ScriptArgs(keys)
        args.lane("deliver", lane)
        return bool(await self._connection.run("run_now", args.keys, args.pack(item=delivery)))

    async def retries(self, keys: Keys, target: str, lane: str, limit: int) -> list[str]:
        """Up to `limit` deliveries of a target that failed and wait for their next attempt; the
        callbacks of a host share a lane.
        """
        key, now = keys.retries("deliver", lane), await self._connection.now() * 1000
        found: dict[bytes, float] = {}
        cursor = 0
        while len(found) < limit:
            command = self._connection.redis.zscan(key, cursor, f"*.{target}", PIECE)
            cursor, rows = await self._connection.ask(command)
            found |= {item: at for item, at in rows if at >= now}
            if not cursor:
                break
        return [item.decode() for item in list(found)[:limit]]

    async def waiting(self, keys: Keys, lane: str) -> int:
        """How many deliveries of a lane wait, or are claimed."""
        pipe = self._connection.redis.pipeline(transaction=False)
        for part in (keys.due, keys.retries, keys.claimed):
            pipe.zcard(part("deliver", lane))
        return sum(await self._connection.ask(pipe.execute()))

    async def body(self, keys: Keys, event: str) -> bytes | None:
        """The body of an event that still has deliveries to make."""
        found: bytes | None = await self._connection.ask(
            self._connection.redis.hget(keys.event(event), "body")
        )
        return found
