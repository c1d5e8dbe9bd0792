"""Whether Redis has our data, can be used, and has room."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from processor.cli.embedded_redis import EmbeddedRedis
from processor.errors import ConfigError, Overloaded, StoreUnavailable
from processor.model import Subscription
from processor.store import Store
from processor.store.inbox import Bounds
from processor.store.keys import WORKERS
from processor.store.store import HEARTBEAT_INTERVAL, HEARTBEAT_LASTS
from processor.store.work_items import LaneLimits, Settlement


async def test_a_new_redis_becomes_ours(store: Store, store_of: Any):
    await store.check()
    await store_of().check()


async def test_another_number_of_shards_is_a_configuration_error(store: Store, store_of: Any):
    await store.check()
    with pytest.raises(ConfigError, match=r"shards 1.*expects 4.*RINGBACK_SHARDS"):
        await store_of(shards=4).check()


async def test_another_schema_is_a_configuration_error(store: Store):
    await store.connection.redis.hset("rb:meta", "schema", "99")
    with pytest.raises(ConfigError, match=r"schema 99"):
        await store.check()


async def test_a_live_worker_is_listed_with_its_metrics(store: Store):
    await store.heartbeat("a", "fact")
    await store.heartbeat("b", "fact 2")
    await store.writable()  # its probe is not a worker
    assert await store.workers() == {"worker-1": "fact", "worker-2": "fact 2"}
    assert 2 * HEARTBEAT_INTERVAL < HEARTBEAT_LASTS


async def test_a_dead_worker_is_not_listed_and_then_removed(store: Store):
    await store.heartbeat("a", "fact")
    redis, now = store.connection.redis, await store.now()
    await redis.hset(WORKERS, "dead", f"{now - HEARTBEAT_LASTS - 1:.3f} fact")
    assert list(await store.workers()) == ["worker-1"]
    await store.heartbeat("b", "fact")
    assert await redis.hkeys(WORKERS) == [b"worker-1 a", b"worker-2 b"]


async def test_a_worker_that_starts_gets_the_lowest_free_number(store: Store):
    for uid in ("a", "b", "c"):
        await store.heartbeat(uid, uid)
    await store.retire("a")
    await store.heartbeat("b", "still b")
    await store.heartbeat("d", "d")
    assert await store.workers() == {"worker-1": "d", "worker-2": "still b", "worker-3": "c"}


async def test_workers_that_start_together_get_different_numbers(store: Store):
    await asyncio.gather(*(store.heartbeat(f"uid{n}", f"{n}") for n in range(20)))
    assert set(await store.workers()) == {f"worker-{n}" for n in range(1, 21)}


async def test_a_worker_that_returns_is_listed_again(store: Store):
    redis, old = store.connection.redis, f"{await store.now() - HEARTBEAT_LASTS - 1:.3f} old"
    await redis.hset(WORKERS, "worker-7 a", old)
    await store.heartbeat("a", "new fact")
    assert await store.workers() == {"worker-7": "new fact"}


async def test_a_worker_whose_number_was_given_away_gets_another(store: Store):
    redis, old = store.connection.redis, f"{await store.now() - HEARTBEAT_LASTS - 1:.3f} old"
    await redis.hset(WORKERS, "worker-1 a", old)
    await store.heartbeat("b", "b")
    await store.heartbeat("a", "a")
    assert await store.workers() == {"worker-1": "b", "worker-2": "a"}


async def test_a_stalled_source_is_listed_until_it_recovers(store: Store):
    await store.stalled_sources.note("s", "HTTP 401")
    assert await store.stalled_sources.read() == {"s": "HTTP 401"}
    await store.stalled_sources.clear("s")
    assert await store.stalled_sources.read() == {}


async def test_fullness_is_the_part_of_the_limit_in_use(store: Store):
    assert await store.fullness() == 0.0
    redis = store.connection.redis
    try:
        await redis.config_set("maxmemory", str((await redis.info("memory"))["used_memory"] * 2))
        assert await store.fullness() == pytest.approx(0.5, abs=0.1)
        await store.writable()
        await redis.config_set("maxmemory", str((await redis.info("memory"))["used_memory"]))
        with pytest.raises(Overloaded, match="memory"):
            await store.writable()
    finally:
        await redis.config_set("maxmemory", "0")


async def test_a_redis_that_is_not_there_is_one_error_without_its_password(tmp_path: Path):
    store = Store("redis://:hunter2@127.0.0.1:1/0")
    for call in (store.now, store.check, store.stalled_sources.read, store.backlogs.nudge_due):
        with pytest.raises(StoreUnavailable) as caught:
            await call()
        assert "127.0.0.1:1" in str(caught.value)
        assert "hunter2" not in str(caught.value)
    await store.close()


CANNOT = [
    ("read only", ("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    (
        "without its replicas",
        ("CONFIG SET", "min-replicas-to-write", "1"),
        ("CONFIG SET", "min-replicas-to-write", "0"),
    ),
]


@pytest.mark.parametrize(("begin", "end"), [r[1:] for r in CANNOT], ids=[r[0] for r in CANNOT])
async def test_a_redis_that_cannot_serve_now_is_unavailable(
    store: Store, update_of: Any, begin: tuple[str, ...], end: tuple[str, ...]
):
    """Whether by script, in a transaction or by a single command; so callers try again."""
    subscription = Subscription(id="sub_1", url="https://one.example", secrets=("whsec_a",))
    calls = (
        lambda: store.inbox.accept(store.shards[0], [("p1", update_of())]),
        lambda: store.subscriptions.save(subscription),
        lambda: store.stalled_sources.note("s", "HTTP 401"),
        store.writable,
    )
    try:
        await store.connection.redis.execute_command(*begin)
        for call in calls:
            with pytest.raises(StoreUnavailable) as caught:
                await call()
            assert "whsec_" not in str(caught.value)  # redis-py shows what it would have written
    finally:
        await store.connection.redis.execute_command(*end)
    for call in calls:
        await call()


async def test_a_full_redis_is_not_an_outage_and_accepted_work_continues(
    store: Store, update_of: Any
):
    redis, keys = store.connection.redis, store.shards[0]
    bounds = Bounds(None, lambda _: 1)
    await store.check()
    try:
        await redis.config_set("maxmemory", "1")
        for call in (
            lambda: store.inbox.accept(keys, [("p1", update_of())], bounds=bounds),
            lambda: store.stalled_sources.note("s", "HTTP 401"),
            store.writable,
        ):
            with pytest.raises(Overloaded, match="memory"):
                await call()
        assert await store.inbox.accept(keys, [("p1", update_of())]) == [True]
        (claim,) = await store.backlogs.claim(keys, "ingest", 1, lambda _: LaneLimits(1))
        assert await store.backlogs.settle([Settlement(claim)]) == [True]
        await store.heartbeat("worker-1", "{}")
        assert list(await store.workers()) == ["worker-1"]
        await store.check()
    finally:
        await redis.config_set("maxmemory", "0")


async def test_an_internal_error_is_not_an_outage(store: Store):
    """Waiting would not help."""
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        await store.connection.ask(store.connection.redis.execute_command("HGET", "rb:meta"))


async def test_a_script_that_redis_lost_is_sent_again(store: Store, update_of: Any):
    await store.connection.redis.script_flush()
    assert await store.inbox.accept(store.shards[0], [("p1", update_of())]) == [True]


async def test_the_time_is_redis_time(store: Store):
    seconds, micros = await store.connection.redis.time()
    assert await store.now() == pytest.approx(seconds + micros / 1e6, abs=0.1)


@pytest.mark.parametrize("astray", [-60.0, 60.0])
async def test_a_clock_that_slept_is_corrected(store: Store, astray: float):
    before = await store.now()
    store.connection._offset += astray  # type: ignore[operator]
    await store.connection.synchronise()
    assert await store.now() == pytest.approx(before, abs=0.1)


async def test_a_slow_answer_does_not_move_the_time(store: Store):
    """Redis may have read its clock at the beginning of a slow call, or at the end."""
    await store.now()
    connection, offset = store.connection, store.connection._offset
    assert offset is not None
    slow = time.monotonic() - 5.0
    for early in (0.0, 2.5, 4.9):
        connection.note_time(time.monotonic() + offset - early, slow)
        assert connection._offset == offset


async def test_the_time_never_goes_back_while_redis_clock_does_not(store: Store):
    """Whichever answers are slow, and on whichever way."""
    connection, redis_ahead, noted = store.connection, 1000.0, list[float]()
    for there, back in [(0.0, 3.0), (3.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, 9.0)]:
        now = time.monotonic()
        connection.note_time(now - back + redis_ahead, now - back - there)
        noted.append(connection._offset or 0.0)
    assert noted == sorted(noted)
    assert noted[-1] == pytest.approx(redis_ahead, abs=0.01)


@pytest.mark.parametrize("step", [-60.0, 60.0])
async def test_an_answer_with_a_time_corrects_a_wrong_clock(store: Store, step: float):
    now = await store.now()
    store.connection.note_time(now + step, time.monotonic())
    assert await store.now() == pytest.approx(now + step, abs=0.1)


async def test_accepted_work_survives_a_crash(tmp_path: Path, update_of: Any, wait_until: Any):
    """Append-only with everysec: only the loss of the machine may lose data."""
    server = EmbeddedRedis(tmp_path)
    store = Store(server.start())
    keys = store.shards[0]
    assert await store.inbox.accept(keys, [("p1", update_of())]) == [True]
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.stalled_sources.read()
    await asyncio.to_thread(server.start)

    async def back() -> bool:
        try:
            return await store.inbox.accept(keys, [("p1", update_of())]) == [False]
        except StoreUnavailable:
            return False

    await wait_until(back)
    assert (await store.backlogs.depth("ingest"))[0] == 1
    await store.close()
    server.stop()
