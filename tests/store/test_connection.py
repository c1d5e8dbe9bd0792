"""What Redis may do to a connection, and which errors callers get."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from processor.cli.embedded_redis import EmbeddedRedis
from processor.errors import StoreUnavailable
from processor.store import Store
from processor.store.script_loader import scripts

CALLS = 200


async def test_flushed_scripts_are_sent_again(store: Store, redis_url: str) -> None:
    """The second call may find them flushed again, like the first one."""
    stop = asyncio.Event()

    def flush() -> None:
        with Redis.from_url(redis_url) as redis:
            while not stop.is_set():
                redis.script_flush()

    flushing = asyncio.create_task(asyncio.to_thread(flush))
    try:
        for _ in range(CALLS):
            await asyncio.gather(*(store.backlogs.nudge_due() for _ in range(5)))
    finally:
        stop.set()
        await flushing


async def test_scripts_are_read_at_the_start(
    store_of: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later all file descriptors may be in use."""
    store = store_of()
    await store.now()  # the first connection reads redis-py's own version

    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(Path, "read_text", fail)
    assert await store.backlogs.nudge_due() is None
    assert "accept" in scripts()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[EmbeddedRedis, EmbeddedRedis]]:
    with contextlib.ExitStack() as ends:
        made = []
        for name in ("first", "second"):
            server = EmbeddedRedis(tmp_path / name)
            server.start()
            ends.callback(server.kill)
            made.append(server)
        yield made[0], made[1]


async def test_a_demoted_redis_is_unavailable_and_raises_no_other_error(
    pair: tuple[EmbeddedRedis, EmbeddedRedis],
) -> None:
    ours, _ = pair
    store = Store(ours.url)

    async def calls() -> list[Any]:
        some = [store.stall(f"s{n}", "why") for n in range(60)]
        some += [store.backlogs.nudge_due() for _ in range(60)]
        return await asyncio.gather(*some, return_exceptions=True)

    try:
        await calls()
        with Redis.from_url(ours.url) as redis:
            busy = asyncio.create_task(calls())
            await asyncio.sleep(0)
            redis.replicaof("127.0.0.1", 1)
            found = [*await busy, *await calls(), *await calls()]
            errors = [one for one in found if isinstance(one, BaseException)]
            assert errors
            assert all(isinstance(one, StoreUnavailable) for one in errors), errors
            redis.replicaof("NO", "ONE")
            assert not [one for one in await calls() if isinstance(one, BaseException)]
    finally:
        await store.close()
