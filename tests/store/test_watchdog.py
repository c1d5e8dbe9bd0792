"""A silent Redis: calls fail soon, and an exhausted pool is not taken for an outage."""

import asyncio
import os
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis import Redis

from processor.cli.embedded_redis import EmbeddedRedis
from processor.errors import Overloaded, StoreUnavailable
from processor.model import Origin, State, StatusUpdate
from processor.store import Store, connection
from processor.store.watchdog import SILENT_AFTER, Watchdog

SOON = 2.0  # seconds in which a call fails once Redis has been silent for one


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    redis = EmbeddedRedis(tmp_path)
    redis.start()
    yield redis
    os.kill(redis.pid or 0, signal.SIGCONT)
    redis.kill()


@pytest.fixture
async def own_store(own_redis: EmbeddedRedis) -> AsyncIterator[Store]:
    """A store with a running watchdog, as in a web process."""
    store = Store(own_redis.url)
    watching = asyncio.create_task(store.connection.watchdog.run())
    await store.check()
    yield store
    watching.cancel()
    await asyncio.wait({watching})
    await store.close()


def update(job: str) -> StatusUpdate:
    return StatusUpdate(
        source="s", id=job, status="x", state=State.RUNNING, at=1.0, origin=Origin.PUSH
    )


async def test_calls_to_a_stopped_redis_fail_within_two_seconds_and_then_recover(
    own_redis: EmbeddedRedis, own_store: Store, wait_until: Any
) -> None:
    keys = own_store.shards[0]
    assert await own_store.inbox.accept(keys, [("p0", update("0"))]) == [True]
    assert own_redis.pid
    os.kill(own_redis.pid, signal.SIGSTOP)
    began = time.monotonic()
    calls = [own_store.inbox.accept(keys, [(f"p{n}", update("1"))]) for n in (1, 2, 3)]
    calls += [own_store.jobs.find(keys, "s/1"), own_store.workers()]
    failed = await asyncio.gather(*calls, return_exceptions=True)
    took = time.monotonic() - began
    assert [type(error) for error in failed] == [StoreUnavailable] * len(calls)
    assert SILENT_AFTER / 2 < took < SOON + 0.5, took  # half a second for a busy machine
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):  # while it lasts, calls fail at once
        await own_store.inbox.accept(keys, [("p4", update("1"))])
    assert time.monotonic() - began < SILENT_AFTER / 2
    os.kill(own_redis.pid, signal.SIGCONT)

    async def answers() -> bool:
        try:
            return await own_store.inbox.accept(keys, [("p5", update("5"))]) == [True]
        except StoreUnavailable:
            return False

    await wait_until(answers)


async def test_a_connection_that_cannot_be_closed_does_not_end_the_watchdog(
    own_redis: EmbeddedRedis, own_store: Store, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one with TLS whose other end is gone: it waits for a goodbye, and redis-py gives up."""
    dog = own_store.connection.watchdog

    async def stuck(**_: Any) -> None:
        raise TimeoutError("Timed out closing connection after 2.0")

    monkeypatch.setattr(own_store.connection._pool, "disconnect", stuck)
    assert own_redis.pid
    os.kill(own_redis.pid, signal.SIGSTOP)
    await wait_until(lambda: dog.silent)
    os.kill(own_redis.pid, signal.SIGCONT)
    await wait_until(lambda: not dog.silent)
    assert await own_store.workers() == {}


def test_a_reset_of_its_idle_connection_does_not_end_the_watchdog(
    own_redis: EmbeddedRedis,
) -> None:
    """With uvloop, as in our processes, that is a RuntimeError."""
    path = own_redis.setup.socket

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pings.append(writer)
        theirs, to_redis = await asyncio.open_unix_connection(path)
        with suppress(ConnectionError):
            while data := await reader.read(1000):
                to_redis.write(data)
                writer.write(await theirs.read(1000))
        to_redis.close()

    async def watched() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        watchdog = Watchdog(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        watching = asyncio.create_task(watchdog.run())
        try:
            for connections in (1, 2, 3):
                async with asyncio.timeout(5):
                    while len(pings) < connections and not watching.done():  # noqa: ASYNC110 -- it tells nobody when it pings
                        await asyncio.sleep(0.05)
                assert not watching.done()
                await asyncio.sleep(0.2)  # its PING is answered
                line = pings[-1].get_extra_info("socket")
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                pings[-1].transport.abort()
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            server.close()

    pings: list[asyncio.StreamWriter] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(watched())


async def test_calls_without_a_watchdog_keep_their_longer_timeout(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", 2.5)
    store = Store(own_redis.url)
    await store.check()
    assert own_redis.pid
    os.kill(own_redis.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.workers()
    assert time.monotonic() - began > SOON
    os.kill(own_redis.pid, signal.SIGCONT)
    await store.close()


async def test_an_exhausted_pool_is_overload_and_pushes_have_their_own(
    store_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", 0.2)
    store = store_of()
    keys, free = store.shards[0], store.connection._free
    for _ in range(connection.CONNECTIONS):
        await free.acquire()
    with pytest.raises(Overloaded):
        await store.workers()
    assert await store.inbox.accept(keys, [("p1", update("1"))]) == [True]
    for _ in range(connection.CONNECTIONS):
        free.release()
    assert await store.workers() == {}


async def test_thousands_of_reads_of_one_job_share_a_few_round_trips(
    store_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, reads = store_of(), []
    read = store.jobs.read

    async def counted(keys: Any, names: Any) -> Any:
        reads.append(list(names))
        return await read(keys, names)

    monkeypatch.setattr(store.jobs, "read", counted)
    keys = store.shards[0]
    found = await asyncio.gather(*(store.jobs.find(keys, f"s/{n % 2}") for n in range(5000)))
    assert len(found) == 5000
    assert len(reads) <= 11
    assert all(len(names) <= 2 for names in reads)


async def test_a_cancelled_call_is_cancelled_even_while_it_connects(
    own_redis: EmbeddedRedis,
) -> None:
    for steps in range(40):
        store = Store(own_redis.url)

        async def forever(store: Store = store) -> None:
            while True:
                await store.connection.synchronise()
                await asyncio.sleep(1)

        task = asyncio.create_task(forever())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=0.5)
        assert done, f"not cancelled after {steps} steps"
        await store.close()


async def test_a_call_that_ignores_its_end_does_not_stop_the_watchdog(store: Store) -> None:
    """redis-py may swallow a cancellation: the call then continues while PINGs still fail."""
    watchdog, goes_on = store.connection.watchdog, asyncio.Event()

    async def stubborn() -> None:
        while not goes_on.is_set():
            try:
                await goes_on.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(store.connection.ask(stubborn()))
    await asyncio.sleep(0)
    for _ in range(3):
        watchdog._end_calls("no answer")
        await asyncio.sleep(0)
    assert watchdog.silent
    goes_on.set()
    await asyncio.wait({task})


async def test_no_call_uses_a_connection_from_before_the_restart(
    own_redis: EmbeddedRedis, own_store: Store, wait_until: Any
) -> None:
    keys, watchdog = own_store.shards[0], own_store.connection.watchdog
    await asyncio.gather(*(own_store.workers() for _ in range(8)))  # some connections lie idle
    await own_store.inbox.accept(keys, [("p0", update("0"))])
    own_redis.stop()
    await wait_until(lambda: watchdog.silent)
    own_redis.start()
    await wait_until(lambda: not watchdog.silent)
    await asyncio.gather(*(own_store.workers() for _ in range(8)))
    assert len(await own_store.inbox.accept(keys, [("p1", update("1"))])) == 1


async def test_a_call_whose_own_limit_ends_in_the_same_turn_does_not_end_the_watchdog() -> None:
    watchdog = Watchdog("unix:///nowhere")

    async def call() -> None:
        async with asyncio.timeout(0) as limit:
            watchdog.limits.add(limit)
            asyncio.get_running_loop().call_soon(watchdog._end_calls, "no answer")
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError):
        await call()
    assert watchdog.silent
    assert watchdog.limits == set()


async def test_the_watchdog_says_why_redis_refuses(own_redis: EmbeddedRedis, wait_until: Any):
    """A wrong password is not silence."""
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("requirepass", "right")
    watchdog = Watchdog(f"unix://:guessed@{own_redis.url.partition('unix://')[2]}")
    watching = asyncio.create_task(watchdog.run())
    await wait_until(lambda: watchdog.silent)
    watching.cancel()
    await asyncio.wait({watching})
    assert "correct the user or password" in str(watchdog.error())
    assert "guessed" not in str(watchdog.error())
