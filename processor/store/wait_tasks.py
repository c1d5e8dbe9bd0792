"""Waits that are asked about later: what is waited for, for whom, and how the wait ended."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from processor.store.connection import Connection
from processor.store.keys import Keys, shard_of

_WAIT, _END = "wait", "end"  # fields of the hash
_encode = msgspec.json.Encoder().encode


class WaitTask(msgspec.Struct, frozen=True):
    """A wait for jobs, each as `source/id`: for all of them, or for the first one that ends."""

    owner: str  # keyed digest of the API key that made it
    tool: str  # whose answer it is
    jobs: list[str]
    first: bool
    created_at: float


class TaskEnd(msgspec.Struct, frozen=True):
    """How a wait ended: with an answer, or canceled without one."""

    status: Literal["completed", "cancelled"]
    at: float
    answer: msgspec.Raw  # null if it was canceled


class KeptTask(NamedTuple):
    """A wait, and its end if it has one."""

    task: WaitTask
    end: TaskEnd | None


_decode_task = msgspec.json.Decoder(WaitTask).decode
_decode_end = msgspec.json.Decoder(TaskEnd).decode


class WaitTasks:
    """The waits of all shards, by id."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        self._connection = connection
        self._shards = shards

    def _key(self, task: str) -> str:
        return self._shards[shard_of("?tasks", task, len(self._shards))].task(task)

    async def create(self, task_id: str, task: WaitTask, expires: float) -> None:
        """Keep a new wait until a time in seconds."""
        key, pipe = self._key(task_id), self._connection.redis.pipeline(transaction=True)
        pipe.hset(key, _WAIT, _encode(task))
        pipe.pexpireat(key, int(expires * 1000))
        await self._connection.ask(pipe.execute())

    async def read(self, task_id: str) -> KeptTask | None:
        """A wait; None if there is none."""
        command = self._connection.redis.hmget(self._key(task_id), [_WAIT, _END])
        task, end = await self._connection.ask(command)
        if task is None:
            return None
        return KeptTask(_decode_task(task), None if end is None else _decode_end(end))

    async def end(self, task_id: str, end: TaskEnd, expires: float) -> TaskEnd:
        """End a wait, unless it has ended: the first end is the one that stays, and is returned."""
        key, pipe = self._key(task_id), self._connection.redis.pipeline(transaction=True)
        pipe.hsetnx(key, _END, _encode(end))
        pipe.hget(key, _END)
        pipe.pexpireat(key, int(expires * 1000))
        _, kept, _ = await self._connection.ask(pipe.execute())
        return _decode_end(kept)

    async def keep(self, task_id: str, expires: float) -> None:
        """Keep a wait until a time in seconds."""
        command = self._connection.redis.pexpireat(self._key(task_id), int(expires * 1000))
        await self._connection.ask(command)
