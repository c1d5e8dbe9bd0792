"""Older stores are migrated to our schema: once, completely, and never while an old process runs."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from redis import Redis

from processor.errors import ConfigError
from processor.store import Store, migration
from processor.store.change import Change
from processor.store.connection import Connection
from processor.store.fleet import SCHEMA
from processor.store.key_scan import rename
from processor.store.keys import PROCESSES, WORKERS, Keys
from processor.store.migration import STEPS, Migration
from processor.store.replacement import REMEMBERED

FILES = [f"schema_{schema}.json" for schema in range(1, SCHEMA)]


@pytest.fixture
def old(redis_url: str, store_of: Any, old_store: Any) -> Iterator[Store]:
    """A store of two shards that f329b63 wrote, some time after its processes ended."""
    yield from _restored("schema_1.json", redis_url, store_of, old_store)


@pytest.fixture
def old_2(redis_url: str, store_of: Any, old_store: Any) -> Iterator[Store]:
    """The same of commit ef04cf3."""
    yield from _restored("schema_2.json", redis_url, store_of, old_store)


def _restored(file: str, redis_url: str, store_of: Any, old_store: Any) -> Iterator[Store]:
    store: Store = store_of(shards=2)
    with Redis.from_url(redis_url) as redis:
        old_store(file, REMEMBERED + 1).restore(redis)
        yield store
        if redis.hget("rb:meta", "schema") != str(SCHEMA).encode():
            redis.flushall()  # keys of an older schema are not in the table


def test_there_is_a_step_from_every_schema_to_ours():
    assert sorted(STEPS) == list(range(1, SCHEMA))


@pytest.mark.parametrize("file", FILES)
async def test_names_change_and_nothing_else(
    file: str, store_of: Any, redis_url: str, old_store: Any, everything: Any
):
    store: Store = store_of(shards=2)
    with Redis.from_url(redis_url) as redis:
        old_store(file, REMEMBERED + 1).restore(redis)
        lasting = {renamed(k.decode()) for k in redis.keys("*") if redis.pttl(k) > 1000}
        before = of_schema_3(everything())
        await store.check()
        assert {k.decode() for k in redis.keys("*") if redis.pttl(k) > 1000} == lasting
    meta = await store.fleet.meta()
    assert (meta["schema"], meta["shards"], len(meta["id"])) == (str(SCHEMA), "2", 16)
    after = parsed(everything())
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    versions = {"{rb:0}:subs:version", "{rb:1}:subs:version"} if file == "schema_1.json" else set()
    assert changed - {key for key in changed if ":busy:" in key} == {"rb:meta", *versions}


@pytest.mark.parametrize("file", FILES)
async def test_a_store_is_migrated_also_when_redis_is_out_of_memory(
    file: str, store_of: Any, redis_url: str, old_store: Any
):
    store: Store = store_of(shards=2)
    with Redis.from_url(redis_url) as redis:
        old_store(file, REMEMBERED + 1).restore(redis)
        redis.config_set("maxmemory", 1)
        try:
            await store.check()
        finally:
            redis.config_set("maxmemory", 0)
            if redis.hget("rb:meta", "schema") != str(SCHEMA).encode():
                redis.flushall()  # keys of an older schema are not in the table
        assert redis.hget("rb:meta", "schema") == str(SCHEMA).encode()
        assert not any(redis.get(keys.subs_version).isdigit() for keys in store.shards)


OLD_WORDS = {"told": "delivered_ids", "turns": "order", "behind": "overflow"}
OLD_WORDS |= {"health": "failure_scores", "again": "retries", "held": "claimed"}
OLD_WORDS |= {"parked": "paused", "paced": "rate_limit", "stepped": "clock_step"}
OLD_FIELDS = {"why": "reason", "turn": "order"}


def of_schema_3(found: dict[str, Any]) -> dict[str, Any]:
    """Keys and what they hold, as schema 3 names them."""
    return parsed({renamed(key): value for key, value in found.items()}, OLD_FIELDS)


def renamed(key: str) -> str:
    """The name of a key from schema 3 on."""
    return re.sub(r"(?<=}:)\w+", lambda word: OLD_WORDS.get(word[0], word[0]), key)


def parsed(found: dict[str, Any], names: dict[str, str] | None = None) -> dict[str, Any]:
    """Keys and what they hold, deliveries and their records as objects whose fields are renamed."""
    return {key: _parsed(key, value, names or {}) for key, value in found.items()}


def _parsed(key: str, value: Any, names: dict[str, str]) -> Any:
    def read(text: bytes) -> dict[str, Any]:
        return {names.get(field, field): what for field, what in json.loads(text).items()}

    match value:
        case dict() if ":items:deliver" in key:
            return {item: read(text) for item, text in value.items()}
        case list() if ":delivered:" in key or ":dead:" in key:
            return [(place, read(fields[b"delivery"])) for place, fields in value]
        case _:
            return value


async def test_what_schema_2_held_is_read_again(old_2: Store, old_store: Any):
    await old_2.check()
    subs = old_store("schema_2.json", 0).subs
    ended = [json.loads(doc) for doc in await old_2.deliveries.ended(subs["ordered"], 100)]
    states = Counter((one["state"], one["reason"]) for one in ended)
    refused = "the subscriber wants no more of it: it answered webhook-delivery: abort-message"
    assert states == {("delivered", None): 3, ("failed", refused): 2}
    assert all(one["order"]["sequence"] == 1 for one in ended)
    orders = {}
    for keys in old_2.shards:
        for key in await old_2.connection.redis.keys(f"{keys.tag}order:*"):
            uid = key.decode().rpartition(":")[2]
            waiting = await old_2.deliveries.in_order(keys, subs["ordered"], uid)
            orders[uid] = [d.order and d.order.sequence for d in waiting]
            assert all(d.order and d.order.job == uid for d in waiting)
        assert (await old_2.deliveries.overflow(keys)).keys() >= {subs["plain"], subs["ordered"]}
    assert sorted(orders.values()).count([1, 2]) == 2
    scores = await old_2.failure_scores.all(await old_2.now())
    assert scores.keys() == {subs["plain"], subs["sealed"], subs["ordered"]}
    disabled = await old_2.subscriptions.get(subs["disabled"])
    assert disabled
    assert disabled.disabled == "answered 410"


async def test_what_schema_3_held_stays_as_it_is(
    store_of: Any, redis_url: str, old_store: Any, everything: Any
):
    store: Store = store_of(shards=2)
    with Redis.from_url(redis_url) as redis:
        old_store("schema_3.json", REMEMBERED + 1).restore(redis)
        before = everything()
        await store.check()
        after = everything()
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {key for key in changed if ":busy:" not in key} == {"rb:meta"}


async def test_a_published_event_keeps_its_bytes(old_2: Store, everything: Any):
    logs = [keys.log for keys in old_2.shards]
    before = [everything()[log] for log in logs]
    assert '"why":"answered 410"' in str(before)
    await old_2.check()
    assert [everything()[log] for log in logs] == before


@pytest.mark.parametrize("script", ["migrate_items", "migrate_records"])
async def test_a_step_to_schema_3_that_was_cut_short_is_finished_by_the_next(
    script: str, old_2: Store, everything: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migration, "LEASE", 0.4)
    expected = of_schema_3(everything())
    run = old_2.connection.run

    async def cut(name: str, keys: Any, args: Any) -> Any:
        answer = await run(name, keys, args)
        if name == script:
            raise asyncio.CancelledError
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(old_2.connection, "run", cut)
        with pytest.raises(asyncio.CancelledError):
            await old_2.check()
    assert (await old_2.fleet.meta())["schema"] == "2"
    await old_2.check()
    after = parsed(everything())
    changed = {key for key in expected.keys() | after.keys() if expected.get(key) != after.get(key)}
    assert {key for key in changed if ":busy:" not in key} == {"rb:meta"}


async def test_an_old_process_can_commit_nothing_and_cannot_read_the_version(
    old: Store, job_of: Any
):
    (keys, _), redis = old.shards, old.connection.redis
    held = (await redis.get(keys.subs_version)).decode()  # as it was read before the migration
    await old.check()
    assert await old.jobs.commit(keys, held, [Change(job_of(), "", save=False)]) is None
    with pytest.raises(ValueError, match="invalid literal"):
        int(await redis.get(keys.subs_version))


async def test_of_many_processes_that_start_together_one_migrates(
    old: Store, store_of: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
):
    ran, refused, lease = [], [], Migration._lease

    async def counted(self: Migration, schema: int) -> str:
        word = await lease(self, schema)
        refused.extend([word] if word == "another" else [])
        return word

    async def step(connection: Connection, shards: Sequence[Keys]) -> None:
        ran.append(1)
        await wait_until(lambda: len(refused) >= 4)
        await migration.draw_versions(connection, shards)

    monkeypatch.setattr(Migration, "_lease", counted)
    stores = [store_of(shards=2) for _ in range(5)]
    await asyncio.gather(*(Migration(s.connection, s.shards, {1: step}).run() for s in stores))
    assert (ran, (await old.fleet.meta())["schema"]) == ([1], "2")


async def test_a_killed_migration_is_finished_by_the_next_process(
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

    await Migration(old.connection, old.shards, {n: step(n) for n in (1, 2)}).run()
    assert (ran, (await old.fleet.meta())["schema"]) == ([1, 2], "3")


@pytest.mark.parametrize("key", [WORKERS, PROCESSES])
async def test_a_migration_is_refused_while_an_old_process_runs(old: Store, key: str):
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


async def test_a_migration_waits_until_a_killed_process_is_surely_dead(
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


async def test_keys_of_all_shards_are_renamed_even_after_an_interruption(store_of: Any):
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
