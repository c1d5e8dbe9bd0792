"""What tests of the store share: short ways to enqueue and claim work, and to read all of Redis."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis import Redis

from processor.model import Job, Origin, State, StatusUpdate
from processor.store import Store
from processor.store.change import Change
from processor.store.keys import Keys
from processor.store.work_items import NOW, Claim, LaneLimits, WorkItem


class Work:
    """Short calls for one backlog of one shard."""

    def __init__(self, store: Store, keys: Keys, backlog: str = "poll") -> None:
        """Work in one backlog of one shard."""
        self.store = store
        self.keys = keys
        self.backlog = backlog

    async def put(self, lane: str, *items: str, at: float = NOW, payload: bytes = b"0") -> None:
        """Let items wait in a lane, as a commit does."""
        items = [WorkItem(self.backlog, lane, item, at, payload) for item in items]
        change = Change(job=job("none"), version="", save=False, items=items)
        assert await self.store.jobs.commit(self.keys, "0", [change]) == [True]

    async def claim(
        self, limit: int = 100, capacity: int = 100, budget: tuple[int, float] | None = None
    ) -> list[Claim]:
        """Claim, with the same limits for every lane."""
        pace = LaneLimits(capacity, budget)
        return await self.store.backlogs.claim(self.keys, self.backlog, limit, lambda _: pace)

    async def one(self) -> Claim:
        """Claim the one item that is due."""
        (claim,) = await self.claim()
        return claim


def job(name: str = "1", **fields: Any) -> Job:
    """A job of source `s`, with a deadline in a day."""
    now = 1_795_341_600.0
    given = {
        "source": "s",
        "provider": "p",
        "id": name,
        "uid": f"u{name}",
        "created_at": now,
        "deadline": 86_400.0,
        "deadline_at": now + 86_400.0,
    }
    return Job(**given | fields)


def update(name: str = "1", state: State | None = State.RUNNING, **fields: Any) -> StatusUpdate:
    given = {
        "source": "s",
        "id": name,
        "status": str(state),
        "state": state,
        "at": 1.0,
        "origin": Origin.PUSH,
    }
    return StatusUpdate(**given | fields)


@pytest.fixture
def keys(store: Store) -> Keys:
    return store.shards[0]


@pytest.fixture
def work(store: Store, keys: Keys) -> Work:
    return Work(store, keys)


@pytest.fixture
def work_on() -> Callable[..., Work]:
    return lambda store, backlog="poll": Work(store, store.shards[0], backlog)


@pytest.fixture
def job_of() -> Callable[..., Job]:
    return job


@pytest.fixture
def update_of() -> Callable[..., StatusUpdate]:
    return update


@pytest.fixture
def everything(redis_url: str) -> Callable[[], dict[str, Any]]:
    """All keys in Redis with what is in them, to compare before and after; times left out."""

    def look() -> dict[str, Any]:
        with Redis.from_url(redis_url) as redis:
            return {name.decode(): _content(redis, name) for name in redis.scan_iter(count=1000)}

    return look


def _content(redis: Redis, name: bytes) -> Any:
    read: dict[bytes, Callable[[], Any]] = {
        b"string": lambda: redis.get(name),
        b"hash": lambda: redis.hgetall(name),
        b"list": lambda: redis.lrange(name, 0, -1),
        b"zset": lambda: redis.zrange(name, 0, -1, withscores=True),
        b"set": lambda: redis.smembers(name),
        b"stream": lambda: redis.xrange(name),
    }
    return read.get(redis.type(name), lambda: None)()  # None: it has expired by now


@pytest.fixture
def twice(everything: Callable[[], dict[str, Any]]) -> Callable[..., Awaitable[tuple[Any, Any]]]:
    """Repeat a call, which must change nothing: both answers."""

    async def run(step: Callable[[], Awaitable[Any]]) -> tuple[Any, Any]:
        first = await step()
        before = lasting()
        second = await step()
        assert lasting() == before
        return first, second

    def lasting() -> dict[str, Any]:
        """All keys except those that live for a quarter of a second."""
        return {name: value for name, value in everything().items() if ":busy:" not in name}

    return run
