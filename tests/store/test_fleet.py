"""The processes of a store agree about its identity, and notice if it was replaced."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from processor.errors import ConfigError, MissingPermission
from processor.store import Store
from processor.store.fleet import SCHEMA
from processor.store.keys import META, PROCESSES
from processor.store.replacement import REMEMBERED, Replacement


async def check(store: Store) -> Replacement | None:
    found = await store.fleet.check_replaced("web-1")
    return found and found.what


@pytest.fixture
async def running(store: Store) -> Store:
    """A store that a process has joined and checked."""
    await store.check()
    assert [await check(store), await check(store)] == [None, None]
    return store


async def test_running_processes_recreate_an_emptied_store(running: Store):
    redis = running.connection.redis
    old = (await running.fleet.meta())["id"]
    await redis.flushall()
    assert [await check(running), await check(running)] == [Replacement.EMPTIED, None]
    meta = await running.fleet.meta()
    assert (meta["shards"], meta["schema"]) == ("1", str(SCHEMA))
    assert meta["id"] != old


async def test_every_process_of_a_fleet_notices_an_emptied_store(running: Store, store_of: Any):
    other = store_of()
    await other.check()
    await other.fleet.check_replaced("worker-1")
    await running.connection.redis.flushall()
    assert [await check(running), await check(running)] == [Replacement.EMPTIED, None]
    found = await other.fleet.check_replaced("worker-1")
    assert found.what is Replacement.EMPTIED
    assert await other.fleet.check_replaced("worker-1") is None
    assert await check(running) is None


async def test_a_restored_state_is_noticed_by_the_missing_mark(running: Store):
    redis = running.connection.redis
    kept = {k: await redis.dump(k) for k in await redis.keys("rb:*")}
    for _ in range(3):
        assert await check(running) is None
    for key, value in kept.items():
        await redis.restore(key, 0, value, replace=True)
    found = await running.fleet.check_replaced("web-1")
    assert found.what is Replacement.RESTORED
    assert 0 < found.lost < 5
    assert await check(running) is None


async def test_another_number_of_shards_is_refused_while_running(running: Store):
    await running.connection.redis.hset(META, "shards", 4)
    with pytest.raises(ConfigError, match=r"shards 4.*: set RINGBACK_SHARDS or REDIS_URL"):
        await check(running)


@pytest.mark.parametrize(
    ("schema", "remedy"),
    [(SCHEMA - 1, "start a process of this version"), (SCHEMA + 1, "run the version that wrote")],
)
async def test_another_schema_is_refused_while_running(running: Store, schema: int, remedy: str):
    await running.connection.redis.hset(META, "schema", schema)
    with pytest.raises(ConfigError, match=f"schema {schema}.*: {remedy}"):
        await check(running)


async def test_the_process_that_runs_longest_decides_the_shards_of_an_emptied_store(
    running: Store, store_of: Any
):
    """A worker with a wrong setting that starts at this moment must not stop the others."""
    await running.connection.redis.flushall()
    await asyncio.sleep(0.01)
    wrong = store_of(shards=4)
    await wrong.check()
    await wrong.fleet.check_replaced("worker-4")
    assert [await check(running), await check(running)] == [Replacement.EMPTIED, None]
    with pytest.raises(ConfigError, match=r"shards 1.*expects 4"):
        await wrong.fleet.check_replaced("worker-4")


async def test_the_shards_of_an_older_store_are_not_changed(running: Store, store_of: Any):
    """A process that was cut off for an hour does not decide for those that continued."""
    redis = running.connection.redis
    await redis.flushall()
    await store_of(shards=4).check()
    made = int(await redis.hget(META, "made"))
    await redis.hset(META, "made", made - 60_000)
    await check(running)
    with pytest.raises(ConfigError, match="shards 4"):
        await check(running)


@pytest.fixture
async def limited(store: Store) -> AsyncIterator[Store]:
    """The same store, as a Redis user of its own."""
    redis = store.connection.redis
    await redis.execute_command("ACL SETUSER", "limited", "on", "nopass", "~*", "+@all")
    path = store.connection.url.partition("unix://")[2]
    limited = Store(f"unix://limited:x@{path}")
    try:
        yield limited
    finally:
        await limited.close()
        await redis.acl_deluser("limited")


async def test_without_the_right_for_info_only_the_store_is_compared(store: Store, limited: Store):
    redis = store.connection.redis
    await redis.execute_command("ACL SETUSER", "limited", "-info")
    await limited.check()
    assert [await check(limited), await check(limited)] == [None, None]
    await redis.flushall()
    assert [await check(limited), await check(limited)] == [Replacement.EMPTIED, None]


@pytest.mark.parametrize("command", ["hgetall", "hget", "time"])
async def test_without_another_right_nothing_is_compared(
    store: Store, limited: Store, command: str
):
    """What cannot be read is not lost."""
    redis = store.connection.redis
    await limited.check()
    assert [await check(limited), await check(limited)] == [None, None]
    await redis.execute_command("ACL SETUSER", "limited", f"-{command}")
    with pytest.raises(MissingPermission, match=f"'{command}'"):
        await check(limited)
    await redis.execute_command("ACL SETUSER", "limited", f"+{command}")
    assert await check(limited) is None


async def test_marks_of_processes_that_ended_are_removed(running: Store, store_of: Any):
    redis, now = running.connection.redis, await running.now()
    await redis.hset(PROCESSES, "dead", f"{now - REMEMBERED - 1:.3f} {SCHEMA} x")
    await redis.hset(PROCESSES, "other", f"{now - 1:.3f} {SCHEMA} x")
    started = store_of()
    assert await started.fleet.check_replaced("web-2") is None
    assert sorted(await redis.hkeys(PROCESSES)) == [b"other", b"web-1", b"web-2"]
    await started.fleet.leave("web-2")
    assert sorted(await redis.hkeys(PROCESSES)) == [b"other", b"web-1"]


async def test_a_process_that_comes_back_while_old_marks_are_removed_keeps_its_new_one(
    running: Store, store_of: Any, monkeypatch: pytest.MonkeyPatch
):
    """Otherwise it would think that Redis had lost its last writes."""
    redis, now, run = running.connection.redis, await running.now(), running.connection.run
    back = f"{now:.3f} {SCHEMA} x"

    async def come_back_first(name: str, *args: Any) -> Any:
        if name == "forget_processes":
            await redis.hset(PROCESSES, "slept", back)
        return await run(name, *args)

    started = store_of()
    monkeypatch.setattr(started.connection, "run", come_back_first)
    await redis.hset(PROCESSES, "slept", f"{now - REMEMBERED - 1:.3f} {SCHEMA} x")
    await started.fleet.check_replaced("web-2")
    assert (await redis.hget(PROCESSES, "slept")).decode() == back


async def test_a_command_neither_creates_a_store_nor_uses_a_wrong_one(store: Store, store_of: Any):
    await store.check_only()
    assert await store.connection.redis.keys("*") == []
    await store_of(shards=4).check()
    with pytest.raises(ConfigError, match="shards 4"):
        await store.check_only()


async def test_two_processes_that_start_together_create_one_store(store_of: Any):
    stores = [store_of() for _ in range(8)]
    await asyncio.gather(*(one.check() for one in stores))
    assert len({(await one.fleet.meta())["id"] for one in stores}) == 1
