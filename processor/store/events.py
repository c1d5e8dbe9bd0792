"""The event log: every event in order, within each shard, read by cursor."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from redis.exceptions import ResponseError

from processor.errors import CursorExpired, RequestError
from processor.model import Retention
from processor.store.connection import Connection
from processor.store.keys import Keys
from processor.store.read_size import PIECE, ReadSize
from processor.store.stream_ids import BEGIN, LAST, checked, order_of, place_at, told_at

PAGE, FAR = 1000, 50  # events read at once, and how many times as many at most, to find one


class Logged(msgspec.Struct, frozen=True):
    """An event in the log; `cursor` is the place right behind it."""

    cursor: str
    id: str
    type: str
    body: bytes
    shard: int
    place: str


class Events:
    """The event logs of all shards, read as one."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], keep: Retention) -> None:
        """Take the connection, the shards' keys, and how much of the log to keep."""
        self._connection = connection
        self._shards = shards
        self._keep = keep
        self._read_size = ReadSize(PAGE)

    async def page(self, places: Sequence[str], limit: int) -> list[Logged]:
        """Up to `limit` events behind `places` (one a shard), the oldest first."""
        pipe = self._connection.redis.pipeline(transaction=False)
        for keys, place in zip(self._shards, places, strict=True):
            pipe.xrange(keys.log, min=f"({place}", count=limit)
        rows = await self._connection.ask(pipe.execute())
        merged = sorted(
            ((order_of(i), shard, i.decode(), f) for shard, log in enumerate(rows) for i, f in log),
            key=lambda row: row[:2],
        )
        return _with_cursors(list(places), merged[:limit])

    async def follow(self, places: Sequence[str], limit: int, wait: float) -> list[Logged]:
        """About `limit` events behind `places`, waiting up to `wait` seconds for the first."""
        each = max(1, limit // len(self._shards))
        each = min(each, self._read_size.next(PIECE))
        streams = {keys.log: place for keys, place in zip(self._shards, places, strict=True)}
        rows = await self._connection.ask(
            self._connection.redis.xread(streams, count=each, block=int(wait * 1000))  # type: ignore[arg-type]
        )
        shard_of = {keys.log.encode(): keys.shard for keys in self._shards}
        found = [(shard_of[log], i.decode(), f) for log, part in rows or [] for i, f in part]
        self._read_size.saw(len(f[b"body"]) for _, _, f in found)
        return _with_cursors(list(places), [((0, 0), *row) for row in found])

    async def between(self, keys: Keys, place: str, end: str, limit: int) -> list[Logged]:
        """Up to `limit` events of one shard behind `place`, fewer where they are large, and none
        behind `end`.
        """
        count = min(limit, self._read_size.next(PIECE))
        call = self._connection.redis.xrange(keys.log, min=f"({place}", max=end, count=count)
        rows = await self._connection.ask(call)
        self._read_size.saw(len(f[b"body"]) for _, f in rows)
        return [
            Logged("", f[b"id"].decode(), f[b"type"].decode(), f[b"body"], keys.shard, i.decode())
            for i, f in rows
        ]

    async def find(self, keys: Keys, event: str, since: float) -> bytes | None:
        """The body of an event that was told then or soon after, if the log has it."""
        place, looked_at = place_at(since), 0
        while looked_at < PAGE * FAR:
            page = await self.between(keys, place, "+", PAGE)
            for one in page:
                if one.id == event:
                    return one.body
            if not page:
                return None
            place, looked_at = page[-1].place, looked_at + len(page)
        return None

    async def oldest(self, keys: Keys) -> tuple[float | None, float | None]:
        """When the newest event that was trimmed was told, and the oldest that is there."""
        pipe = self._connection.redis.pipeline(transaction=True)
        pipe.get(keys.trimmed)
        pipe.xrange(keys.log, count=1)
        trimmed, rows = await self._connection.ask(pipe.execute())
        places = [trimmed, rows[0][0] if rows else None]
        gone, there = (told_at(p.decode()) if p else None for p in places)
        return gone, there

    async def end(self) -> list[str]:
        """The places behind the newest events."""
        pipe = self._connection.redis.pipeline(transaction=False)
        for keys in self._shards:
            pipe.xrevrange(keys.log, count=1)
        rows = await self._connection.ask(pipe.execute())
        return [log[0][0].decode() if log else BEGIN for log in rows]

    async def check(self, places: Sequence[str]) -> None:
        """Gone if events behind `places` were trimmed, or Redis lost what was there."""
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.mget([keys.trimmed for keys in self._shards])
        for keys in self._shards:
            pipe.xinfo_stream(keys.log)
        trimmed, *streams = await self._connection.ask_each(pipe, ResponseError)
        for place, gone, stream in zip(places, _good(trimmed), streams, strict=True):
            if place == BEGIN:
                continue
            if gone and order_of(place) < order_of(gone):
                raise CursorExpired(
                    "Events behind this cursor were trimmed; start again without `after`."
                )
            if order_of(place) > order_of(_last(stream)) and order_of(place)[1] != LAST:
                raise CursorExpired(
                    "Redis lost events before this cursor; start again without `after`."
                )

    async def trim(self, now: float) -> None:
        """Forget events that are older or more than the log keeps."""
        oldest = f"{int((now - self._keep.events) * 1000)}-0"
        for keys in self._shards:
            args: list[str | bytes | float] = [oldest, self._keep.events_count]
            await self._connection.run("trim_event_log", [keys.log, keys.trimmed], args)

    def start(self) -> list[str]:
        """The places before the oldest events."""
        return [BEGIN for _ in self._shards]

    def places(self, cursor: str) -> list[str]:
        """What an opaque cursor says; RequestError if it is not one of ours."""
        try:
            text = base64.urlsafe_b64decode(cursor.encode() + b"==").decode()
            places = [checked(part) for part in text.split(",")]
        except (ValueError, binascii.Error) as error:
            raise RequestError("The cursor is not one that this server gave.") from error
        if len(places) != len(self._shards):
            raise RequestError("The cursor is of another number of shards.")
        return places

    @staticmethod
    def behind(event: Logged, places: Sequence[str]) -> bool:
        """Whether an event is behind these places."""
        return order_of(event.place) > order_of(places[event.shard])

    @staticmethod
    def unread(told: Sequence[Logged], places: list[str]) -> list[Logged]:
        """Those of `told` that are behind `places`, which move along, and become their cursors:
        of another shard more may have been read than whoever told them had told.
        """
        found = []
        for event in told:
            if Events.behind(event, places):
                places[event.shard] = event.place
                found.append(replace(event, cursor=Events.cursor(places)))
        return found

    @staticmethod
    def cursor(places: Sequence[str]) -> str:
        """Places as one opaque word."""
        return base64.urlsafe_b64encode(",".join(places).encode()).decode().rstrip("=")


def _last(stream: Any) -> bytes:
    """The last place that a log gave; a log that was never written is no error."""
    if isinstance(stream, ResponseError) and "no such key" in str(stream):
        return BEGIN.encode()
    last: bytes = _good(stream)["last-generated-id"]
    return last


def _good(answer: Any) -> Any:
    """An answer of a pipeline; raises what is an error."""
    if isinstance(answer, Exception):
        raise answer
    return answer


def _with_cursors(places: list[str], rows: Sequence[tuple[Any, ...]]) -> list[Logged]:
    found = []
    for _, shard, place, fields in rows:
        places[shard] = place
        found.append(
            Logged(
                Events.cursor(places),
                fields[b"id"].decode(),
                fields[b"type"].decode(),
                fields[b"body"],
                shard,
                place,
            )
        )
    return found
