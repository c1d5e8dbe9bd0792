"""Older stores are brought to our schema: once, whole, and never under a process that wrote them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis import Redis

from processor.errors import ConfigError
from processor.store import Store, migration
from processor.store.connection import Connection
from processor.store.fleet import SCHEMA
from processor.store.jobs import Change
from processor.store.keys import PROCESSES, WORKERS, Keys
from processor.store.migration import STEPS, Migration, rename
from processor.store.replacement import REMEMBERED


@pytest.fixture
def old(store_of: Any, redis_url: str, old_store: Any) -> Store:
    """What f329b63 wrote, two shards of it, when its processes have ended for a while."""
    store: Store = store_of(shards=2)
    with Redis.from_url(redis_url) as redis:
        old_store("schema_1.json", REMEMBERED + 1).restore(redis)
    return store


def test_there_is_a_step_from_every_schema_to_ours():
    assert sorted(STEPS) == list(range(1, SCHEMA))


async def test_only_versions_and_the_number_change(old: Store, everything: Any):
    before = everything()
    await old.check()
    meta = await old.fleet.meta()
    assert (meta["schema"], meta["shards"], len(meta["id"])) == (str(SCHEMA), "2", 16)
    after = everything()
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed - {f"{{rb:{n}}}:busy:{b}" for n in (0, 1) for b in ("ingest", "deliver")} == {
        "rb:meta",
        "{rb:0}:subs:version",
        "{rb:1}:subs:version",
    }


async def test_a_process_of_before_can_commit_nothing_and_cannot_read_the_version(
    old: Store, job_of: Any
):
    (keys, _), redis = old.shards, old.connection.redis
    held = (await redis.get(keys.subs_version)).decode()  # as it was read before the migration
    await old.check()
    assert await old.jobs.commit(keys, held, [Change(job_of(), "", save=False)]) is None
    with pytest.raises(ValueError, match="invalid literal"):
        int(await redis.get(keys.subs_version))


async def test_of_many_that_start_at_once_one_migrates(old: Store, store_of: Any):
    ran = []

    async def step(connection: Connection, shards: Sequence[Keys]) -> None:
        ran.append(1)
        await asyncio.sleep(0.3)
        await migration.draw_versions(connection, shards)

    stores = [store_of(shards=2) for _ in range(5)]
    await asyncio.gather(*(Migration(s.connection, s.shards, {1: step}).run() for s in stores))
    assert (ran, (await old.fleet.meta())["schema"]) == ([1], "2")


async def test_one_that_was_killed_midway_is_finished_by_the_next(
    old: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migration, "LEASE", 0.4)
    ran = []

    async def step(connection: Connection, shards: Sequence[Keys]) -> None:
        await migration.draw_versions(connection, shards[: len(ran) + 1])
        ran.append(1)
        if len(ran) == 1:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Migration(old.connection, old.shards, {1: step}).run()
    meta = await old.fleet.meta()
    assert (meta["schema"], "migrating" in meta) == ("1", True)
    await Migration(old.connection, old.shards, {1: step}).run()
    meta = await old.fleet.meta()
    assert (meta["schema"], "migrating" in meta, len(ran)) == ("2", False, 2)
    for keys in old.shards:
        assert not (await old.connection.redis.get(keys.subs_version)).isdigit()


async def test_several_steps_run_one_after_the_other(old: Store):
    ran: list[int] = []

    def step(number: int) -> Any:
        async def run(*_: Any) -> None:
            assert (await old.fleet.meta())["schema"] == str(number)
            ran.append(number)

        return run

    await Migration(old.connection, old.shards, {n: step(n) for n in (1, 2, 3)}).run()
    assert (ran, (await old.fleet.meta())["schema"]) == ([1, 2, 3], "4")


@pytest.mark.parametrize("key", [WORKERS, PROCESSES])
async def test_it_is_refused_while_a_process_of_before_runs(old: Store, key: str):
    redis, over = old.connection.redis, asyncio.Event()

    async def beat() -> None:
        while not over.is_set():
            await redis.hset(key, "worker-old", f"{await old.now():.3f} []")
            await asyncio.sleep(0.2)

    beating = asyncio.create_task(beat())
    with pytest.raises(ConfigError, match=r"schema 1.*worker-old.*stop the old version first"):
        await old.check()
    over.set()
    await beating
    assert (await old.fleet.meta())["schema"] == "1"


async def test_it_waits_until_a_process_that_was_killed_is_surely_dead(
    old: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migration, "REMEMBERED", 1.0)
    now = await old.now()
    await old.connection.redis.hset(WORKERS, "worker-old", f"{now:.3f} []")
    await old.check()
    assert await old.now() - now >= 1.0
    assert (await old.fleet.meta())["schema"] == str(SCHEMA)


async def test_another_number_of_shards_is_refused_before_anything_is_touched(
    old: Store, store_of: Any, everything: Any
):
    before = everything()
    with pytest.raises(ConfigError, match=r"shards 2.*expects 4"):
        await store_of(shards=4).check()
    with pytest.raises(ConfigError, match="schema 1"):
        await old.check_only()  # a command does not migrate
    assert {k: v for k, v in before.items() if ":busy:" not in k} == {
        k: v for k, v in everything().items() if ":busy:" not in k
    }


async def test_keys_of_all_shards_are_renamed_and_a_cut_run_is_finished(store_of: Any):
    store, many = store_of(shards=4), 3000
    redis = store.connection.redis
    pipe = redis.pipeline(transaction=False)
    for n in range(many):
        pipe.set(f"{{rb:{n % 4}}}:old:{n}", n, px=60_000)
    pipe.set("{rb:0}:older:1", "stays", px=60_000)
    await pipe.execute()
    left = [many // 2]

    def new_name(name: str) -> str | None:
        left[0] -= 1
        if left[0] == 0:
            raise asyncio.CancelledError
        return name.replace(":old:", ":new:") if ":old:" in name else None

    with pytest.raises(asyncio.CancelledError):
        await rename(store.connection, "{rb:*}:old*", new_name)
    done = await rename(store.connection, "{rb:*}:old*", new_name)
    assert 0 < done.renamed < many
    assert done.taken == []
    names = {name.decode() for name in await redis.keys("*")}
    assert names == {f"{{rb:{n % 4}}}:new:{n}" for n in range(many)} | {"{rb:0}:older:1"}
    assert await redis.pttl("{rb:1}:new:1") > 0
    await redis.flushall()


async def test_a_name_that_is_taken_is_never_overwritten(store: Store):
    redis = store.connection.redis
    await redis.mset({"{rb:0}:old:1": "old", "{rb:0}:new:1": "new", "{rb:0}:old:2": "old"})
    done = await rename(store.connection, "{rb:*}:old:*", lambda n: n.replace(":old:", ":new:"))
    assert (done.renamed, done.taken) == (1, ["{rb:0}:old:1"])
    assert await redis.mget("{rb:0}:old:1", "{rb:0}:new:1", "{rb:0}:new:2") == [
        b"old",
        b"new",
        b"old",
    ]
    await redis.flushall()


async def test_a_new_store_needs_no_migration(store: Store):
    await store.check()
    assert (await store.fleet.meta())["schema"] == str(SCHEMA)
