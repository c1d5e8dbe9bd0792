"""Subscriptions: the same in every shard, and never missed by a commit."""

from typing import Any

import pytest
from msgspec.structs import replace

from processor.model import Subscription
from processor.store import Store
from processor.store.jobs import Change
from processor.store.keys import Keys

ONE = Subscription("sub_1", "https://one.example", ("whsec_a",), created_at=2.0)
TWO = Subscription("sub_2", "https://two.example", ("whsec_b",), created_at=1.0)
FILE = Subscription("sub_file", "https://file.example", ("whsec_c",), static=True)


def wanting(router: Any) -> list[str]:
    return [s.id for s in router.wanting("job.succeeded", "s", "p", {})]


async def test_a_subscription_is_read_as_it_was_saved(store: Store, keys: Keys):
    await store.targets.save(ONE)
    assert await store.targets.get("sub_1") == ONE
    assert await store.targets.get("sub_2") is None
    assert await store.targets.read(keys, ["sub_1", "sub_2"], []) == (
        {"sub_1": ONE, "sub_2": None},
        [],
    )


async def test_subscriptions_are_listed_the_oldest_first(store: Store):
    for one in (ONE, TWO):
        await store.targets.save(one)
    assert await store.targets.listed() == [TWO, ONE]


async def test_every_change_is_a_new_version(store: Store, keys: Keys):
    versions = [(await store.targets.router(keys)).version]
    for change in (store.targets.save(ONE), store.targets.save(TWO), store.targets.remove("sub_1")):
        await change
        versions.append((await store.targets.router(keys, fresh=True)).version)
    assert versions == sorted(set(versions))


async def test_a_router_is_kept_until_a_fresh_one_is_asked_for(store: Store, keys: Keys):
    assert wanting(await store.targets.router(keys)) == []
    await store.targets.save(ONE)
    assert wanting(await store.targets.router(keys)) == []
    assert wanting(await store.targets.router(keys, fresh=True)) == ["sub_1"]


async def test_removing_says_whether_there_was_one(store: Store, keys: Keys):
    await store.targets.save(ONE)
    assert [await store.targets.remove("sub_1"), await store.targets.remove("sub_1")] == [
        True,
        False,
    ]
    assert wanting(await store.targets.router(keys, fresh=True)) == []


# --- the configuration file's -------------------------------------------------------------


async def test_the_files_subscriptions_are_there_without_being_saved(store_of: Any):
    store = store_of(static={FILE.id: FILE})
    assert await store.targets.listed() == [FILE]
    assert await store.targets.get(FILE.id) == FILE
    assert wanting(await store.targets.router(store.shards[0])) == [FILE.id]


async def test_one_of_the_file_stays_disabled_and_otherwise_as_the_file_says(store_of: Any):
    store = store_of(static={FILE.id: FILE})
    await store.targets.save(replace(FILE, secrets=("whsec_old",), disabled="answered 410"))
    found = await store.targets.get(FILE.id)
    assert found == replace(FILE, disabled="answered 410")
    assert await store.targets.listed() == [found]
    assert wanting(await store.targets.router(store.shards[0], fresh=True)) == []


async def test_one_whose_url_the_file_changed_is_not_disabled_any_more(store_of: Any, keys: Keys):
    """It was the old URL that wanted no more."""
    store = store_of(static={FILE.id: FILE})
    await store.targets.save(replace(FILE, url="https://old.example", disabled="answered 410"))
    assert await store.targets.get(FILE.id) == FILE
    assert await store.targets.listed() == [FILE]
    assert (await store.targets.read(keys, [FILE.id], []))[0] == {FILE.id: FILE}
    assert wanting(await store.targets.router(keys, fresh=True)) == [FILE.id]


async def test_one_that_the_file_does_not_name_any_more_is_gone(store_of: Any):
    await store_of(static={FILE.id: FILE}).targets.save(replace(FILE, disabled="answered 410"))
    store = store_of()
    assert await store.targets.listed() == []
    assert wanting(await store.targets.router(store.shards[0])) == []


# --- shards -------------------------------------------------------------------------------


async def commits(store: Store, job: Any, shard: int) -> bool:
    """Whether a commit in this shard is taken, with a fresh router."""
    keys = store.shards[shard]
    router = await store.targets.router(keys, fresh=True)
    change = Change(job, "", save=False)
    return await store.jobs.commit(keys, router.version, [change]) is not None


async def test_every_shard_takes_commits_after_a_change(store_of: Any, job_of: Any):
    store = store_of(shards=4)
    await store.targets.save(ONE)
    for shard, keys in enumerate(store.shards):
        assert await commits(store, job_of(), shard)
        assert wanting(await store.targets.router(keys)) == ["sub_1"]
        assert (await store.targets.read(keys, ["sub_1"], []))[0] == {"sub_1": ONE}


@pytest.mark.parametrize("shard", [0, 1, 3])
async def test_a_change_that_was_cut_short_refuses_no_commit_for_ever(
    store_of: Any, job_of: Any, shard: int
):
    """A process may die, or Redis go away, between two shards."""
    await store_of(shards=1).targets.save(ONE)  # only the first shard was written
    store = store_of(shards=4)
    assert await commits(store, job_of(), shard)


async def test_a_shard_that_was_not_written_knows_only_what_it_has(store_of: Any, job_of: Any):
    """Its commits match against its own subscriptions, until the change is made again."""
    await store_of(shards=1).targets.save(ONE)
    store = store_of(shards=2)
    assert [wanting(await store.targets.router(keys)) for keys in store.shards] == [["sub_1"], []]
    await store.targets.save(ONE)
    for shard, keys in enumerate(store.shards):
        assert await commits(store, job_of(), shard)
        assert wanting(await store.targets.router(keys)) == ["sub_1"]


async def test_a_commit_that_matched_before_a_change_is_refused_in_that_shard(
    store_of: Any, job_of: Any
):
    store = store_of(shards=2)
    stale = [await store.targets.router(keys) for keys in store.shards]
    await store.targets.save(ONE)
    change = Change(job_of(), "", save=False)
    for keys, router in zip(store.shards, stale, strict=True):
        assert await store.jobs.commit(keys, router.version, [change]) is None


# --- callbacks ----------------------------------------------------------------------------


async def test_a_callback_target_lives_as_long_as_its_job(store: Store, keys: Keys):
    target = Subscription("cb_1", "https://cb.example", ("whsec_d",))
    await store.targets.save_callback(keys, target, await store.now() + 60)
    found, _ = await store.targets.read(keys, ["cb_1", "sub_1", "cb_2"], [])
    assert found == {"cb_1": target, "sub_1": None, "cb_2": None}
    assert await store.connection.redis.pttl(keys.callback("cb_1")) == pytest.approx(
        60_000, abs=2_000
    )
