"""The event log: all events of each shard in order, read by cursor.

A position is the id of an entry in a shard's log; a cursor is one position per shard.
"""

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
from processor.store.stream_ids import BEGIN, LAST, canonical, position_at, sort_key, written_at

PAGE, MAX_PAGES = 1000, 50  # events read at once; pages that are searched for one event


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event in the log; `cursor` is the position after it."""

    cursor: str
    id: str
    type: str
    body: bytes
    shard: int
    position: str


class Events:
    """The event logs of all shards, read as one."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], keep: Retention) -> None:
        self._connection = connection
        self._shards = shards
        self._keep = keep
        self._read_size = ReadSize(PAGE)

    async def page(self, positions: Sequence[str], limit: int) -> list[LoggedEvent]:
        """Up to `limit` events after `positions` (one per shard), the oldest first; fewer if they are
        large, and none only at the end.
        """
        count = self._affordable(limit)
        pipe = self._connection.redis.pipeline(transaction=False)
        for keys, position in zip(self._shards, positions, strict=True):
            pipe.xrange(keys.log, min=f"({position}", count=count)
        rows = await self._connection.ask(pipe.execute())
        self._read_size.learn(len(f[b"body"]) for log in rows for _, f in log)
        merged = sorted(
            ((sort_key(i), shard, i.decode(), f) for shard, log in enumerate(rows) for i, f in log),
            key=lambda row: row[:2],
        )
        return _with_cursors(list(positions), merged[:count])

    async def page_back(
        self, positions: Sequence[str] | None, limit: int
    ) -> tuple[list[LoggedEvent], list[str]]:
        """Up to `limit` events before `positions` (None: the end), the newest first, and the
        positions of the oldest of them; fewer if they are large, and none only at the beginning.
        They have no cursors.
        """
        count = self._affordable(limit)
        positions = positions or self.past_the_end()
        pipe = self._connection.redis.pipeline(transaction=False)
        for keys, position in zip(self._shards, positions, strict=True):
            pipe.xrevrange(keys.log, max=f"({position}", count=count)
        rows = await self._connection.ask(pipe.execute())
        self._read_size.learn(len(f[b"body"]) for log in rows for _, f in log)
        found = [_without_cursor(shard, *row) for shard, log in enumerate(rows) for row in log]
        found.sort(key=lambda event: (sort_key(event.position), event.shard), reverse=True)
        oldest = list(positions)
        for event in found[:count]:
            oldest[event.shard] = event.position
        return found[:count], oldest

    def _affordable(self, limit: int) -> int:
        """How many of `limit` events to read from each shard at once."""
        return min(limit, self._read_size.next(PIECE // len(self._shards)))

    async def follow(
        self, positions: Sequence[str], deletions: list[str], limit: int, wait: float
    ) -> tuple[list[LoggedEvent], list[str]]:
        """About `limit` events after `positions`, and the uids of what was deleted after `deletions`,
        which moves past them; waits up to `wait` seconds for the first.
        """
        each = max(1, limit // len(self._shards))
        each = min(each, self._read_size.next(PIECE))
        logs = [keys.log for keys in self._shards]
        others = [keys.deletions for keys in self._shards]
        streams = dict(zip([*logs, *others], [*positions, *deletions], strict=True))
        rows = await self._connection.ask(
            self._connection.redis.xread(streams, count=each, block=int(wait * 1000))  # type: ignore[arg-type]
        )
        entries = {name.decode(): part for name, part in rows or []}
        found = [
            (shard, i.decode(), f)
            for shard, log in enumerate(logs)
            for i, f in entries.get(log, [])
        ]
        deleted: list[str] = []
        for shard, name in enumerate(others):
            for position, fields in entries.get(name, []):
                deletions[shard] = position.decode()
                deleted.append(fields[b"uid"].decode())
        self._read_size.learn(len(f[b"body"]) for _, _, f in found)
        return _with_cursors(list(positions), [((0, 0), *row) for row in found]), deleted

    async def between(self, keys: Keys, position: str, end: str, limit: int) -> list[LoggedEvent]:
        """Up to `limit` events of one shard after `position`, fewer if they are large, and none
        after `end`.
        """
        count = min(limit, self._read_size.next(PIECE))
        command = self._connection.redis.xrange(keys.log, min=f"({position}", max=end, count=count)
        rows = await self._connection.ask(command)
        self._read_size.learn(len(f[b"body"]) for _, f in rows)
        return [_without_cursor(keys.shard, *row) for row in rows]

    async def find(self, keys: Keys, event: str, since: float) -> bytes | None:
        """The body of an event that was published then or soon after, if the log has it."""
        position, visited = position_at(since), 0
        while visited < PAGE * MAX_PAGES:
            page = await self.between(keys, position, "+", PAGE)
            for logged in page:
                if logged.id == event:
                    return logged.body
            if not page:
                return None
            position, visited = page[-1].position, visited + len(page)
        return None

    async def oldest(self, keys: Keys) -> tuple[float | None, float | None]:
        """When the newest trimmed event was published, and when the oldest one that is there."""
        pipe = self._connection.redis.pipeline(transaction=True)
        pipe.get(keys.trimmed)
        pipe.xrange(keys.log, count=1)
        trimmed, rows = await self._connection.ask(pipe.execute())
        positions = [trimmed, rows[0][0] if rows else None]
        newest_trimmed, oldest = (written_at(p.decode()) if p else None for p in positions)
        return newest_trimmed, oldest

    async def end(self) -> list[str]:
        """The positions after the newest events."""
        pipe = self._connection.redis.pipeline(transaction=False)
        for keys in self._shards:
            pipe.xrevrange(keys.log, count=1)
        rows = await self._connection.ask(pipe.execute())
        return [log[0][0].decode() if log else BEGIN for log in rows]

    async def check(self, positions: Sequence[str]) -> None:
        """CursorExpired if events after `positions` were trimmed, or Redis lost earlier events."""
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.mget([keys.trimmed for keys in self._shards])
        for keys in self._shards:
            pipe.xinfo_stream(keys.log)
        trimmed, *streams = await self._connection.ask_each(pipe, ResponseError)
        for position, gone, stream in zip(positions, _good(trimmed), streams, strict=True):
            if position == BEGIN:
                continue
            if gone and sort_key(position) < sort_key(gone):
                raise CursorExpired(
                    "Events behind this cursor were trimmed; start again without `after`."
                )
            if sort_key(position) > sort_key(_last(stream)) and sort_key(position)[1] != LAST:
                raise CursorExpired(
                    "Redis lost events before this cursor; start again without `after`."
                )

    async def trim(self, now: float) -> None:
        """Remove events that are older than the log keeps, or too many."""
        oldest = f"{int((now - self._keep.events) * 1000)}-0"
        for keys in self._shards:
            args: list[str | bytes | float] = [oldest, self._keep.events_count]
            await self._connection.run("trim_event_log", [keys.log, keys.trimmed], args)

    def start(self) -> list[str]:
        """The positions before the oldest events."""
        return [BEGIN for _ in self._shards]

    def past_the_end(self) -> list[str]:
        """The positions after all events, also those to come."""
        return [f"{LAST}-{LAST}" for _ in self._shards]

    def read_cursor(self, cursor: str) -> list[str]:
        """The positions of an opaque cursor; RequestError if it is not a cursor of this server."""
        try:
            text = base64.urlsafe_b64decode(cursor.encode() + b"==").decode()
            positions = [canonical(part) for part in text.split(",")]
        except (ValueError, binascii.Error) as error:
            raise RequestError("This is not a cursor of this server.") from error
        if len(positions) != len(self._shards):
            raise RequestError("The cursor is for another number of shards.")
        return positions

    @staticmethod
    def is_after(event: LoggedEvent, positions: Sequence[str]) -> bool:
        """Whether an event is after these positions."""
        return sort_key(event.position) > sort_key(positions[event.shard])

    @staticmethod
    def unread(events: Sequence[LoggedEvent], positions: list[str]) -> list[LoggedEvent]:
        """Those events that are after `positions`, with cursors; moves `positions` past them.

        The positions may be ahead of the events in one shard, and behind them in another.
        """
        found = []
        for event in events:
            if Events.is_after(event, positions):
                positions[event.shard] = event.position
                found.append(replace(event, cursor=Events.cursor(positions)))
        return found

    @staticmethod
    def cursor(positions: Sequence[str]) -> str:
        """Positions as one opaque word."""
        return base64.urlsafe_b64encode(",".join(positions).encode()).decode().rstrip("=")


def _without_cursor(shard: int, position: bytes, fields: dict[bytes, bytes]) -> LoggedEvent:
    """An entry of one log, without a cursor."""
    name, kind, body = (fields[field] for field in (b"id", b"type", b"body"))
    return LoggedEvent("", name.decode(), kind.decode(), body, shard, position.decode())


def _last(stream: Any) -> bytes:
    """The position of the last entry of a log; a log that was never written has none."""
    if isinstance(stream, ResponseError) and "no such key" in str(stream):
        return BEGIN.encode()
    last: bytes = _good(stream)["last-generated-id"]
    return last


def _good(answer: Any) -> Any:
    """An answer of a pipeline; raises it if it is an error."""
    if isinstance(answer, Exception):
        raise answer
    return answer


def _with_cursors(positions: list[str], rows: Sequence[tuple[Any, ...]]) -> list[LoggedEvent]:
    found = []
    for _, shard, position, fields in rows:
        positions[shard] = position
        found.append(
            LoggedEvent(
                Events.cursor(positions),
                fields[b"id"].decode(),
                fields[b"type"].decode(),
                fields[b"body"],
                shard,
                position,
            )
        )
    return found
