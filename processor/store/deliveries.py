"""Deliveries of one target: pending, ended, and overflow, which is only in the log yet."""

from collections.abc import Collection, Sequence
from itertools import count
from typing import NamedTuple

import msgspec

from processor.model import Delivery
from processor.store.connection import Connection
from processor.store.keys import Keys
from processor.store.stream_ids import sort_key

MAX_OF_JOB = 1000  # records of each target that are searched for the deliveries of a job

NOT_YET = 9e15  # ms: the due time of a delivery that waits for another one (3-ordering.lua)

_decode = msgspec.json.Decoder(Delivery).decode


class DeliveryCounts(NamedTuple):
    """How many deliveries of a target wait, and how many records of ended ones are kept."""

    pending: int = 0
    delivered: int = 0
    dead: int = 0  # dead letters


class Deliveries:
    """The deliveries of all shards."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        self._connection = connection
        self._shards = shards

    async def ended(self, target: str, limit: int) -> list[bytes]:
        """Ended deliveries of a target, the newest of each shard first: at most `limit` of those
        that were delivered, and all dead letters.
        """
        found: list[bytes] = []
        for keys in self._shards:
            pipe = self._connection.redis.pipeline(transaction=False)
            pipe.xrevrange(keys.delivered(target), count=limit)
            pipe.xrevrange(keys.dead(target))
            rows = [row for rows in await self._connection.ask(pipe.execute()) for row in rows]
            rows.sort(key=lambda row: sort_key(row[0]), reverse=True)
            found += [fields[b"delivery"] for _, fields in rows]
        return found

    async def pending(self, target: str, lane: str, limit: int) -> list[tuple[bytes, float | None]]:
        """Deliveries of a target that wait or are claimed, each with the time of its next attempt, not
        before a pause of its lane ends: None while it is made, or waits for an earlier event of its
        job. At most `limit` of all shards: claimed ones, then retries, then new ones; of each the
        soonest first. The lane of a subscription has its id; the callbacks of a host share one.
        """
        paused_until = await self._paused_until(lane)
        rows: list[tuple[int, float, int, bytes]] = []
        for keys in self._shards:
            parts = await self._waiting(keys, target, lane, limit)
            rows += [(n, at, keys.shard, item) for n, part in enumerate(parts) for item, at in part]
        times = {
            (shard, item): None if n == 0 or at == NOT_YET else max(at, paused_until[shard]) / 1000
            for n, at, shard, item in sorted(rows)
        }
        shown = list(times)[:limit]
        payloads: dict[tuple[int, bytes], bytes | None] = {}
        for keys in self._shards:
            here = [row for row in shown if row[0] == keys.shard]
            found = await self._payloads(keys, [item for _, item in here])
            payloads |= zip(here, found, strict=True)
        return [(payload, times[row]) for row in shown if (payload := payloads[row])]

    async def _paused_until(self, lane: str) -> list[float]:
        """Until when a lane is paused in each shard, in milliseconds; 0 if it is not."""
        found = [
            await self._connection.ask(self._connection.redis.hget(keys.paused["deliver"], lane))
            for keys in self._shards
        ]
        return [float(until or 0) for until in found]

    async def _waiting(
        self, keys: Keys, target: str, lane: str, limit: int
    ) -> list[list[tuple[bytes, float]]]:
        """The claimed, the retried and the new items of a target, each with its score: at least the
        first `limit` of them, if there are so many in its lane.
        """
        found: list[list[tuple[bytes, float]]] = [[], [], []]
        ending = f".{target}".encode()
        for start in count(0, limit):
            pipe = self._connection.redis.pipeline(transaction=False)
            for part in (keys.claimed, keys.retries, keys.due):
                pipe.zrange(part("deliver", lane), start, start + limit - 1, withscores=True)
            pages = await self._connection.ask(pipe.execute())
            for rows, page in zip(found, pages, strict=True):
                rows += [row for row in page if row[0].endswith(ending)]
            if max(map(len, pages)) < limit or sum(map(len, found)) >= limit:
                break
        return found

    async def counts(self, targets: Sequence[str]) -> dict[str, DeliveryCounts]:
        """The counts of each of these targets; no record is read."""
        pipe = self._connection.redis.pipeline(transaction=False)
        for target in targets:
            for keys in self._shards:
                for part in (keys.claimed, keys.retries, keys.due):
                    pipe.zcard(part("deliver", target))
                pipe.xlen(keys.delivered(target))
                pipe.xlen(keys.dead(target))
        found = await self._connection.ask(pipe.execute()) if targets else []
        size = 5 * len(self._shards)  # answers about one target
        rows = [found[start : start + size] for start in range(0, len(found), size)]
        counted = (
            (sum(sum(row[n::5]) for n in range(3)), sum(row[3::5]), sum(row[4::5])) for row in rows
        )
        return {t: DeliveryCounts(*row) for t, row in zip(targets, counted, strict=True)}

    async def newest_ended(self, targets: Sequence[str], count: int) -> dict[str, list[bytes]]:
        """The last ended deliveries of each of these targets, at most `count`, the newest last."""
        pipe = self._connection.redis.pipeline(transaction=False)
        streams = [f(t) for t in targets for k in self._shards for f in (k.delivered, k.dead)]
        for stream in streams:
            pipe.xrevrange(stream, count=count)
        found = await self._connection.ask(pipe.execute()) if targets else []
        size, newest = 2 * len(self._shards), {}  # answers about one target
        for place, target in enumerate(targets):
            rows = [row for rows in found[place * size : (place + 1) * size] for row in rows]
            rows.sort(key=lambda row: sort_key(row[0]))
            newest[target] = [fields[b"delivery"] for _, fields in rows[-count:]]
        return newest

    async def of_events(
        self, keys: Keys, targets: Sequence[str], events: Collection[str], since: float
    ) -> list[bytes]:
        """Deliveries of these events of a job to these targets, pending ones first; events and their
        ends are later than `since` (seconds).
        """
        if not targets or not events:
            return []
        begin, marks = f"{int(since * 1000)}", [f'"{event}"'.encode() for event in events]
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.hmget(keys.items["deliver"], [f"{e}.{target}" for target in targets for e in events])
        for target in targets:
            pipe.xrevrange(keys.delivered(target), min=begin, count=MAX_OF_JOB)
            pipe.xrevrange(keys.dead(target), min=begin, count=MAX_OF_JOB)
        pending, *streams = await self._connection.ask(pipe.execute())
        ended = (fields[b"delivery"] for stream in streams for _, fields in stream)
        of_events = [doc for doc in ended if any(mark in doc for mark in marks)]
        return [doc for doc in pending if doc] + of_events

    async def in_order(self, keys: Keys, target: str, job: str) -> list[Delivery]:
        """Deliveries of a job to an ordered subscription that have not ended, in their order."""
        command = self._connection.redis.zrange(keys.order(target, job), 0, -1)
        items = await self._connection.ask(command)
        return [_decode(doc) for doc in await self._payloads(keys, items) if doc]

    async def _payloads(self, keys: Keys, items: Sequence[bytes]) -> list[bytes | None]:
        if not items:
            return []
        command = self._connection.redis.hmget(keys.items["deliver"], list(items))
        found: list[bytes | None] = await self._connection.ask(command)
        return found

    async def overflow(self, keys: Keys) -> dict[str, str]:
        """The subscriptions with overflow, and the position in the log right before it."""
        rows = await self._connection.ask(self._connection.redis.hgetall(keys.overflow))
        return {name.decode(): span.decode().partition(" ")[0] for name, span in rows.items()}

    async def advance_overflow(
        self, keys: Keys, target: str, position: str, count: int = 0
    ) -> bool:
        """Note that the overflow up to a position, so many deliveries, is enqueued; True if nothing
        is left.
        """
        args: list[str | float] = [target, position, count]
        return bool(await self._connection.run("overflow_advance", [keys.overflow], args))
