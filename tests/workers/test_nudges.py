"""The wait of an actor for its next nudge, and what ends it."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from processor.cli.embedded_redis import EmbeddedRedis
from processor.config import load
from processor.service.runtime.outage import Outage
from processor.store import Store
from processor.store.keys import BACKLOGS, Keys
from workers import nudges
from workers.broker import NudgeBroker
from workers.event_loop import WorkerLoop
from workers.nudges import Nudges

CAME, NONE_CAME = (True, []), (False, [])
COUNT = ("RPUSH", Keys(0).nudge["poll"], "1")  # a command whose answer says how often it ran


@pytest.fixture
async def waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nudges of two shards, which nobody waits for in vain: a test would not end."""
    monkeypatch.setattr(nudges, "LONGEST_WAIT", 3600.0)
    monkeypatch.setattr(nudges, "TIMEOUT", 7200.0)
    monkeypatch.setattr(nudges, "END_TIMEOUT", 0.5)
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
        assert await task == CAME
        assert not await store.connection.redis.exists(f"{{rb:{shard}}}:nudge:ingest")


async def test_a_nudge_that_came_before_the_wait_is_not_missed(
    store: Store, waiting: Nudges
) -> None:
    await store.connection.redis.rpush(store.shards[0].nudge["poll"], "1")
    assert await waiting.next("poll") == CAME


async def test_two_workers_that_wait_get_nudges_in_turn(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    other = Nudges(store.connection.url, 2, Outage("other"))
    got = []

    async def work(name: str, one: Nudges) -> None:
        while await one.next("ingest") == CAME:
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
    assert await waiting.next("deliver") == NONE_CAME


async def test_a_drain_ends_all_waits_and_those_to_come_without_a_word_of_an_outage(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    tasks = [asyncio.create_task(waiting.next(b)) for b in ("ingest", "poll", "deliver")]

    async def all_wait() -> bool:
        return await blocked(store) == 3

    await wait_until(all_wait)
    with capture_logs() as logs:
        waiting.end()
        assert await asyncio.gather(*tasks) == [NONE_CAME] * 3
        await store.connection.redis.rpush(store.shards[0].nudge["ingest"], "1")
        assert await waiting.next("ingest") == NONE_CAME
    assert logs == []


Alone = tuple[EmbeddedRedis, Nudges, asyncio.Task[Any]]


@pytest.fixture
async def alone(tmp_path: Path, wait_until: Any) -> AsyncIterator[Alone]:
    """A Redis of its own, its nudges, and a wait for one."""
    redis = EmbeddedRedis(tmp_path)
    redis.start()
    found, store = Nudges(redis.url, 1, Outage("test")), Store(redis.url)
    task = asyncio.create_task(found.next("ingest"))
    await wait_until(lambda: blocked(store))
    yield redis, found, task
    redis.kill()
    await found.close()
    await store.close()


async def test_an_outage_ends_the_wait_and_is_logged_once(alone: Alone) -> None:
    redis, found, task = alone
    with capture_logs() as logs:
        assert redis.pid
        os.kill(redis.pid, signal.SIGKILL)
        assert await task == NONE_CAME
        assert await found.next("ingest") == NONE_CAME
    assert [line["event"] for line in logs] == ["redis_unavailable"]


async def test_a_redis_that_ends_after_the_drain_leaves_no_error(
    alone: Alone, wait_until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    redis, found, task = alone
    found.end()
    assert await task == NONE_CAME
    redis.kill()
    await wait_until(lambda: not found._waits)
    gc.collect()
    assert caplog.records == []


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
        assert await task == NONE_CAME
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
    nudges_of = Nudges(store.connection.url, 1, loop.outage)
    pump, loop._nudges = AsyncMock(), nudges_of

    async def at_nudge(of: Nudges) -> bool:
        return (await of.next("ingest"))[0]

    pump.run_at_nudge.side_effect = at_nudge
    loop.pumps = {"ingest": pump}
    task = asyncio.create_task(loop.work("ingest"))
    for waits in (1, 2, 3):
        await wait_until(lambda waits=waits: pump.run_at_nudge.await_count == waits)
        await wait_until(lambda: blocked(store))
        await store.connection.redis.rpush(store.shards[0].nudge["ingest"], "1")
    await wait_until(lambda: pump.run_at_nudge.await_count == 4)
    await loop._close()
    await nudges_of.close()
    await task
    assert pump.run.await_count == 1


async def test_redis_runs_what_is_behind_the_wait_as_soon_as_the_nudge_comes(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    redis = store.connection.redis
    task = asyncio.create_task(waiting.next("ingest", [COUNT, ("HGET", COUNT[1], "x")]))
    await wait_until(lambda: blocked(store))
    assert not await redis.exists(COUNT[1])
    await redis.rpush(store.shards[0].nudge["ingest"], "1")
    came, (count, error) = await task
    assert (came, count) == (True, 1)
    assert isinstance(error, ResponseError)  # it does not hide the other answer


async def test_it_runs_that_also_if_no_nudge_comes(
    store: Store, waiting: Nudges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nudges, "LONGEST_WAIT", 0.05)
    assert await waiting.next("ingest", [COUNT]) == (False, [1])


async def test_a_drain_gets_the_answers_to_what_is_behind_the_wait(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    redis, nudge = store.connection.redis, store.shards[0].nudge["ingest"]
    other = Nudges(store.connection.url, 2, Outage("other"))
    tasks = [asyncio.create_task(n.next("ingest", [COUNT])) for n in (waiting, other)]

    async def both_wait() -> bool:
        return await blocked(store) == 2

    await wait_until(both_wait)
    waiting.end()
    assert await tasks[0] == (False, [1])
    assert await redis.keys(f"{nudge}*") == []
    assert await blocked(store) == 1  # a drain ends no other worker's wait
    await redis.rpush(nudge, "1")
    assert await tasks[1] == (True, [2])
    await other.close()


async def test_a_drain_does_not_wait_long_for_a_silent_redis(
    tmp_path: Path, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = EmbeddedRedis(tmp_path)
    redis.start()
    found, store = Nudges(redis.url, 1, Outage("test")), Store(redis.url)
    monkeypatch.setattr(nudges, "END_TIMEOUT", 0.1)
    task = asyncio.create_task(found.next("ingest", [("PING",)]))
    await wait_until(lambda: blocked(store))
    assert redis.pid
    os.kill(redis.pid, signal.SIGSTOP)
    found.end()
    assert await task == NONE_CAME
    os.kill(redis.pid, signal.SIGCONT)
    await store.close()
    await found.close()
    redis.kill()


async def test_a_drain_ends_the_waits_of_all_consumers_and_loses_no_nudge(
    store: Store, wait_until: Any
) -> None:
    redis, keys = store.connection.redis, store.shards[:1]
    broker, other = (NudgeBroker(store.connection.url, keys, Outage(n), []) for n in ("a", "b"))
    for backlog in BACKLOGS:
        broker.declare_queue(backlog)
    consumers = [broker.consume(backlog) for backlog in BACKLOGS]
    tasks = [asyncio.create_task(asyncio.to_thread(next, c)) for c in consumers]
    stays = asyncio.create_task(asyncio.to_thread(next, other.consume("ingest")))

    async def all_wait() -> bool:
        return await blocked(store) == 4

    await wait_until(all_wait)
    broker.end()
    assert await asyncio.gather(*tasks) == [None] * 3
    await redis.rpush(keys[0].nudge["poll"], "1")
    assert next(consumers[1]) is None
    assert await redis.keys("*nudge*") == [keys[0].nudge["poll"].encode()]
    await redis.rpush(keys[0].nudge["ingest"], "1")
    message = await stays
    assert message.actor_name == "ingest"
    broker.close()
    other.close()


async def test_an_error_instead_of_a_nudge_hides_no_answer(store: Store, waiting: Nudges) -> None:
    nudge = store.shards[0].nudge["ingest"]
    await store.connection.redis.hset(nudge, "wrong", "type")
    assert await waiting.next("ingest", [COUNT]) == (False, [1])
    await store.connection.redis.delete(nudge)


async def test_after_a_drain_nothing_runs_behind_a_wait_that_could_not_be_ended(
    store: Store, waiting: Nudges, wait_until: Any
) -> None:
    redis = store.connection.redis
    task = asyncio.create_task(waiting.next("ingest", [COUNT]))
    await wait_until(lambda: blocked(store))
    await redis.config_set("maxmemory", "1")  # Redis refuses what would end the wait
    waiting.end()
    try:
        assert await task == NONE_CAME
    finally:
        await redis.config_set("maxmemory", "0")

    async def gone() -> bool:
        return not await blocked(store)

    await wait_until(gone)
    assert not await redis.exists(COUNT[1])
