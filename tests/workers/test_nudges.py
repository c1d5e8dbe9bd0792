"""The wait of an actor for its next nudge, and what ends it."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from processor.cli.embedded_redis import EmbeddedRedis
from processor.config import load
from processor.service.runtime.outage import Outage
from processor.store import Store
from workers import nudges
from workers.event_loop import WorkerLoop
from workers.nudges import Nudges

AWAY = "redis://127.0.0.1:1/0"  # nothing listens there


@pytest.fixture
async def waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nudges of two shards, which nobody waits for in vain: a test would not end."""
    monkeypatch.setattr(nudges, "LONGEST_WAIT", 3600.0)
    monkeypatch.setattr(nudges, "TIMEOUT", 7200.0)
    found = Nudges(store.connection.url, 2, Outage("test"))
    yield found
    await found.close()


async def blocked(store: Store) -> int:
    """How many clients wait for a nudge."""
    info = await store.connection.redis.info("clients")
    return int(info["blocked_clients"])


async def test_a_nudge_in_any_shard_ends_the_wait_and_is_taken(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    for shard in ("0", "1"):
        task = asyncio.create_task(waiting.next("ingest"))
        await wait_until(lambda: blocked(store))
        await store.connection.redis.rpush(f"{{rb:{shard}}}:nudge:ingest", "1")
        assert await task
        assert not await store.connection.redis.exists(f"{{rb:{shard}}}:nudge:ingest")


async def test_a_nudge_that_came_before_the_wait_is_not_missed(
    store: Store, waiting: Nudges
) -> None:
    await store.connection.redis.rpush(store.shards[0].nudge["poll"], "1")
    assert await waiting.next("poll")


async def test_two_workers_that_wait_get_nudges_in_turn(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    other = Nudges(store.connection.url, 2, Outage("other"))
    got = []

    async def work(name: str, one: Nudges) -> None:
        while await one.next("ingest"):
            got.append(name)

    tasks = [asyncio.create_task(work("a", waiting)), asyncio.create_task(work("b", other))]
    for number in range(1, 5):

        async def both() -> bool:
            return await blocked(store) == 2

        await wait_until(both)
        await store.connection.redis.rpush(store.shards[0].nudge["ingest"], "1")
        await wait_until(lambda number=number: len(got) == number)
    waiting.end()
    other.end()
    await asyncio.gather(*tasks)
    await other.close()
    assert (got.count("a"), got.count("b")) == (2, 2)


async def test_without_a_nudge_the_wait_ends_after_a_while(
    store: Store, waiting: Nudges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nudges, "LONGEST_WAIT", 0.05)
    assert not await waiting.next("deliver")


async def test_a_drain_ends_all_waits_and_those_to_come_without_a_word_of_an_outage(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    tasks = [asyncio.create_task(waiting.next(b)) for b in ("ingest", "poll", "deliver")]

    async def all_wait() -> bool:
        return await blocked(store) == 3

    await wait_until(all_wait)
    with capture_logs() as logs:
        waiting.end()
        assert await asyncio.gather(*tasks) == [False] * 3
        await store.connection.redis.rpush(store.shards[0].nudge["ingest"], "1")
        assert not await waiting.next("ingest")
    assert logs == []


async def test_an_outage_ends_the_wait_and_is_logged_once(tmp_path: Path, wait_until: Any) -> None:
    redis = EmbeddedRedis(tmp_path)
    redis.start()
    found = Nudges(redis.url, 1, Outage("test"))
    store = Store(redis.url)
    task = asyncio.create_task(found.next("ingest"))
    await wait_until(lambda: blocked(store))
    with capture_logs() as logs:
        assert redis.pid
        os.kill(redis.pid, signal.SIGKILL)
        assert not await task
        assert not await found.next("ingest")
    assert [line["event"] for line in logs] == ["redis_unavailable"]
    redis.kill()
    await found.close()
    await store.close()


async def test_a_silent_redis_ends_the_wait_as_an_outage(
    tmp_path: Path, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = EmbeddedRedis(tmp_path)
    redis.start()
    found, store = Nudges(redis.url, 1, Outage("test")), Store(redis.url)
    monkeypatch.setattr(nudges, "LONGEST_WAIT", 3600.0)
    monkeypatch.setattr(nudges, "TIMEOUT", 1.0)
    task = asyncio.create_task(found.next("ingest"))
    await wait_until(lambda: blocked(store))
    assert redis.pid
    os.kill(redis.pid, signal.SIGSTOP)
    with capture_logs() as logs:
        assert not await task
    os.kill(redis.pid, signal.SIGCONT)
    assert [line["event"] for line in logs] == ["redis_unavailable"]
    await wait_until(lambda: not found._waits)  # what was asked is over
    await store.close()
    await found.close()
    redis.kill()


async def test_an_actor_runs_its_pump_at_each_nudge_until_the_drain(
    store: Store, tmp_path: Path, wait_until: Any
) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("")
    loop = WorkerLoop(load(file, {"REDIS_URL": store.connection.url}), lambda _: None)
    pump, loop._nudges = AsyncMock(), Nudges(store.connection.url, 1, loop.outage)
    loop.pumps = {"ingest": pump}
    task = asyncio.create_task(loop.work("ingest"))
    for runs in (1, 2, 3):
        await wait_until(lambda runs=runs: pump.run.await_count == runs)
        await wait_until(lambda: blocked(store))
        await store.connection.redis.rpush(store.shards[0].nudge["ingest"], "1")
    await wait_until(lambda: pump.run.await_count == 4)
    await loop._close()
    await loop._nudges.close()
    await task
    assert pump.run.await_count == 4
