"""What Redis may do to a connection, and which errors callers get."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest
from redis import Redis

from processor.cli.embedded_redis import EmbeddedRedis
from processor.errors import StoreUnavailable
from processor.store import Store, connection
from processor.store.connection import pack_command
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


@pytest.mark.parametrize(
    "call",
    [("PING",), ("SET", "é" * 70, b"\x00\xff\r\n"), ("X", 0, -1, 12.5, "", b"", b"x" * 1000)],
)
def test_a_command_is_packed_as_hiredis_does_it(call: tuple[str | bytes | float, ...]) -> None:
    assert pack_command(call) == hiredis.pack_command(call)


async def test_a_connection_that_redis_closed_is_replaced(
    store_of: Callable[..., Store], redis_url: str, wait_until: Any
) -> None:
    store = store_of()
    own = await store.connection.ask(store.connection.redis.client_id())
    (idle,) = store.connection._pool._available_connections
    with Redis.from_url(redis_url) as other:
        assert other.client_kill_filter(_id=own) == 1
    await wait_until(idle._reader.at_eof)
    assert await store.connection.ask(store.connection.redis.client_id()) != own


async def test_a_call_that_took_too_long_closes_its_connection(
    store_of: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer must not go to the next call."""
    store = store_of()
    redis = store.connection.redis
    own = await store.connection.ask(redis.client_id())
    with monkeypatch.context() as patch:
        patch.setattr(connection, "TIMEOUT", 0.1)
        with pytest.raises(StoreUnavailable, match="Timeout"):
            await store.connection.ask(redis.blpop(["never"], timeout=0))
    assert await store.connection.ask(redis.client_id()) != own


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
        some = [store.stalled_sources.note(f"s{n}", "why") for n in range(60)]
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
