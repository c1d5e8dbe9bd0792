"""The processes that share a store: its identity, their marks, and whether it was replaced."""

import hashlib
import secrets
import time
from typing import Any, NamedTuple

from redis.exceptions import NoPermissionError

from processor.errors import ConfigError
from processor.store.connection import Connection
from processor.store.keys import META, PROCESSES
from processor.store.refusals import refusal
from processor.store.replacement import REMEMBERED, Replacement, ServerState, lost_seconds, replaced

SCHEMA = 4  # of what this version writes


class Found(NamedTuple):
    """What happened to Redis, and how many seconds of writes it lost at least, if that is known."""

    what: Replacement
    lost: float | None = None


class Fleet:
    """One process among those of a store."""

    def __init__(self, connection: Connection, shards: int) -> None:
        """`shards` is the configured number."""
        self._connection = connection
        self._shards = shards
        self._since: float | None = None  # seconds, Redis' clock: when this process first joined
        self._before: ServerState | None = None
        self._marks = frozenset[str]()  # the last one written, and any that may have been written
        self._marked_at = 0.0  # when the last one was written, seconds
        self._joined = False
        self._id: str | None = None
        self._forgot_at = float("-inf")  # when old marks were removed, seconds

    async def join(self) -> dict[str, str]:
        """Describe the store if it is new; ConfigError if it does not fit this process."""
        if self._since is None:
            await self._connection.synchronise()
            self._since = await self._connection.now()
        args: list[str | float] = [
            self._shards,
            SCHEMA,
            secrets.token_hex(8),
            int(self._since * 1000),
        ]
        rows = await self._connection.run("join", [META], args)
        meta = _text(dict(zip(rows[::2], rows[1::2], strict=True)))
        self.check(meta)
        self._joined = True
        return meta

    async def id(self) -> str:
        """The store's random id."""
        if self._id is None:
            meta = await self.meta()
            self._id = (meta if "id" in meta else await self.join())["id"]
        return self._id

    async def digest(self, secret: bytes) -> str:
        """Names a secret by a digest that only this store makes."""
        key = (await self.id()).encode()
        return hashlib.blake2b(secret, digest_size=16, key=key).hexdigest()

    def forget(self) -> None:
        """Forget the id: the store was replaced."""
        self._id = None

    def is_older(self, meta: dict[str, str]) -> bool:
        """Whether a store must be migrated; ConfigError if it has another number of shards."""
        if not ("schema" in meta and int(meta["schema"]) < SCHEMA):
            return False
        self.check(meta | {"schema": str(SCHEMA)})
        return True

    async def meta(self) -> dict[str, str]:
        """The fields of `rb:meta`; empty if there is no store."""
        return _text(await self._connection.ask(self._connection.redis.hgetall(META)))

    def check(self, meta: dict[str, str]) -> None:
        """ConfigError unless a store has the configured shards and our schema."""
        shards = meta.get("shards", str(self._shards))
        if shards != str(self._shards):
            raise ConfigError(
                f"Redis holds shards {shards}, this process expects {self._shards}: "
                "set RINGBACK_SHARDS or REDIS_URL to what the data was made with"
            )
        schema = int(meta.get("schema", SCHEMA))
        if schema != SCHEMA:
            raise ConfigError(another_schema(schema))

    async def server(self) -> str | None:
        """The id of the Redis process that answers now; None if INFO is denied.

        For work whose last write is wrong if the first ones are lost: begin again if the process is
        another one at the end.
        """
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.info("server")
        (found,) = await self._connection.ask_each(pipe, NoPermissionError)
        run_id: str | None = _permitted(found).get("run_id")
        return run_id

    @property
    def server_seen(self) -> tuple[str | None, str | None] | None:
        """The Redis of the last check: the ids of its process and of its data, None if INFO is
        denied. Before the first check, and after a replacement, None.
        """
        return self._before and (self._before.run_id, self._before.replid)

    async def check_replaced(self, name: str) -> Found | None:
        """Whether Redis was replaced since the last check; leaves a mark under this name.

        If it was, the caller starts over, and the next check joins the store that is there.
        ConfigError if the store does not fit this process any more; MissingPermission if the store
        may not be read.
        """
        if not self._joined:
            await self.join()
        now, meta = await self._see(name)
        what = replaced(self._before, now, self._marks) if self._before else None
        if what and not what.whole:
            lost = lost_seconds(now.mark, self._marked_at)
            self._before, self._marks, self._joined = None, frozenset(), False
            return Found(what, lost)
        self._before = now
        self.check(meta)
        await self._mark(name, now.at)
        return Found(what) if what else None

    async def _see(self, name: str) -> tuple[ServerState, dict[str, str]]:
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.info("server")
        pipe.info("replication")
        pipe.hgetall(META)
        pipe.hget(PROCESSES, name)
        pipe.time()
        asked_at = time.monotonic()
        rows = await self._connection.ask_each(pipe, NoPermissionError)
        server, replication = map(_permitted, rows[:2])
        meta, mark, (seconds, micros) = map(_required, rows[2:])
        found = _text(meta)
        there = "schema" in found and "id" in found
        at = seconds + micros / 1e6
        self._connection.note_time(at, asked_at)  # each second: so all follow Redis' clock
        if replid := replication.get("master_replid"):
            self._connection.watchdog.history = replid.encode()  # a replica may have been promoted
        return ServerState(
            at=at,
            run_id=server.get("run_id"),
            replid=replication.get("master_replid"),
            replid2=replication.get("master_replid2"),
            store=found["id"] if there else None,
            made=float(found.get("made", 0)) / 1000,
            mark=mark.decode() if mark else None,
        ), found

    async def _mark(self, name: str, now: float) -> None:
        """Leave a mark, and at times remove those of processes that check no more."""
        mark = f"{now:.3f} {SCHEMA} {secrets.token_hex(4)}"
        self._marks |= {mark}  # it may be written even if the answer is lost
        redis = self._connection.redis
        await self._connection.run("mark_process", [PROCESSES], [name, mark])
        self._marks, self._marked_at = frozenset({mark}), now
        if abs(now - self._forgot_at) < REMEMBERED:
            return
        self._forgot_at = now
        rows = await self._connection.ask(redis.hgetall(PROCESSES))
        old = [row for row in rows.items() if float(row[1].split()[0]) < now - REMEMBERED]
        if old:
            await self._connection.run("forget_processes", [PROCESSES], sum(old, ()))

    async def leave(self, name: str) -> None:
        """Remove the mark: this process stops."""
        await self._connection.ask(self._connection.redis.hdel(PROCESSES, name))


def another_schema(schema: int) -> str:
    """What to do about a store that an older or newer version wrote."""
    remedy = (
        "start a process of this version, which migrates it (keep a copy of Redis' file)"
        if schema < SCHEMA
        else "run the version that wrote it, or restore the copy from before that upgrade"
    )
    return f"Redis holds schema {schema}, this process expects {SCHEMA}: {remedy}"


def _permitted(row: Any) -> Any:
    """An answer; empty if the command is denied."""
    return {} if isinstance(row, NoPermissionError) else row


def _required(row: Any) -> Any:
    """An answer; MissingPermission if the command is denied: what cannot be read is not lost."""
    if isinstance(row, NoPermissionError):
        raise refusal(row) or row
    return row


def _text(row: dict[bytes, bytes]) -> dict[str, str]:
    return {field.decode(): value.decode() for field, value in row.items()}
