"""Deliveries made once more: what ended, what may be put anew, what is hurried."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from processor.model import Delivery
from processor.store.connection import Connection, ScriptArgs
from processor.store.keys import Keys, day_of
from processor.store.stream_ids import BEGIN, order_of
from processor.store.work_items import Lanes, WorkItem

DAYS = range(-8, 2)
"""Days around today on which an event of the log can have arrived: the log is trimmed a little
late, and who wrote may have been a little ahead."""


class Seen(NamedTuple):
    """How far the records of a target's ended deliveries were read."""

    arrived: str = BEGIN
    dead: str = BEGIN


class Ended(Delivery, frozen=True, kw_only=True):
    """The record of an ended delivery: what it was, and how it ended."""

    state: str


class Again(msgspec.Struct, frozen=True):
    """A delivery to make anew, with the body that its event has in the log."""

    put: WorkItem
    event: str
    body: bytes


_decode = msgspec.json.Decoder(Ended).decode


class Redeliveries:
    """Deliveries of one target in one shard, looked at from behind."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection."""
        self._connection = connection

    async def ended(self, keys: Keys, target: str, seen: Seen) -> tuple[list[Ended], Seen]:
        """Deliveries that ended behind the places `seen`, oldest first; the places behind them."""
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.xrange(keys.delivered(target), min=f"({seen.arrived}")
        pipe.xrange(keys.dead(target), min=f"({seen.dead}")
        both = await self._connection.ask(pipe.execute())
        last = [rows[-1][0].decode() if rows else old for rows, old in zip(both, seen, strict=True)]
        merged = sorted((row for rows in both for row in rows), key=lambda row: order_of(row[0]))
        return [_decode(fields[b"delivery"]) for _, fields in merged], Seen(*last)

    async def queue(
        self,
        keys: Keys,
        target: str,
        seen: Seen,
        puts: Sequence[Again],
        *,
        again: bool,
        bounded: bool = True,
    ) -> list[str]:
        """Put deliveries anew; what became of each: `queued`, `pending` or `delivered`.

        With `again` what arrived is put too, but not what did so behind the places `seen`.
        Overloaded where this is `bounded` and Redis is out of memory.
        """
        if not puts:
            return []
        today = day_of(await self._connection.now())
        call = ScriptArgs(keys.delivered(target))
        lanes = Lanes(keys, call)
        told: dict[str, Any] = {
            "seen": seen.arrived,
            "delivered_ids": [
                call.key(keys.delivered_ids(target, today + day)) for day in DAYS if not again
            ],
            "ids": [one.event for one in puts],
            "puts": [
                {
                    "put": lanes.put(one.put),
                    "event": call.key(keys.event(one.event)),
                    "body": call.blob(one.body),
                }
                for one in puts
            ],
            "lanes": lanes.told,
        }
        done = await self._connection.run("replay", call.keys, call.args(told), bounded=bounded)
        return [word.decode() for word in done]

    async def run_now(self, keys: Keys, lane: str, delivery: str) -> bool:
        """Make a delivery that waits due now; False if it neither waits nor is under way."""
        call = ScriptArgs()
        lanes = Lanes(keys, call)
        lanes.place("deliver", lane)
        told = {"item": delivery, "lanes": lanes.told}
        return bool(await self._connection.run("run_now", call.keys, call.args(told)))

    async def waiting(self, keys: Keys, lane: str) -> int:
        """How many deliveries of a lane wait, or are under way."""
        pipe = self._connection.redis.pipeline(transaction=False)
        for part in (keys.due, keys.again, keys.held):
            pipe.zcard(part("deliver", lane))
        return sum(await self._connection.ask(pipe.execute()))

    async def body(self, keys: Keys, event: str) -> bytes | None:
        """The body of an event that still has deliveries to make."""
        found: bytes | None = await self._connection.ask(
            self._connection.redis.hget(keys.event(event), "body")
        )
        return found
