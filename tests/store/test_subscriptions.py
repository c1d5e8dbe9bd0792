"""Subscriptions: the same in every shard, never missed by a commit, with encrypted secrets."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from processor.errors import StoreUnavailable
from processor.model import Subscription
from processor.store import Store
from processor.store.change import Change
from processor.store.keys import Keys
from processor.vault import MasterKey, Vault, is_sealed, key_of

ONE = Subscription(id="sub_1", url="https://one.example", secrets=("whsec_a",), created_at=2.0)
TWO = Subscription(id="sub_2", url="https://two.example", secrets=("whsec_b",), created_at=1.0)
FILE = Subscription(id="sub_file", url="https://file.example", secrets=("whsec_c",), static=True)


K1, K2 = (MasterKey(name, bytes([n]) * 32) for n, name in enumerate(("k1", "k2"), 1))


async def disabled(store: Store, target: str) -> None:
    """Change the stored form of a subscription."""
    await store.subscriptions.change(target, lambda s: replace(s, disabled="answered 410"))


def matching(router: Any) -> list[str]:
    return [s.id for s in router.matching("job.succeeded", "s", "p", {})]


async def test_a_subscription_is_read_as_it_was_saved(store: Store, keys: Keys):
    await store.subscriptions.save(ONE)
    assert await store.subscriptions.get("sub_1") == ONE
    assert await store.subscriptions.get("sub_2") is None
    assert await store.subscriptions.read(keys, ["sub_1", "sub_2"], []) == (
        {"sub_1": ONE, "sub_2": None},
        [],
    )


async def test_subscriptions_are_listed_the_oldest_first(store: Store):
    for one in (ONE, TWO):
        await store.subscriptions.save(one)
    assert await store.subscriptions.listed() == [TWO, ONE]


async def test_every_change_is_a_new_version(store: Store, keys: Keys):
    versions = [(await store.subscriptions.router(keys)).version]
    for change in (
        store.subscriptions.save(ONE),
        store.subscriptions.save(TWO),
        store.subscriptions.remove("sub_1"),
    ):
        await change
        versions.append((await store.subscriptions.router(keys, fresh=True)).version)
    assert len(set(versions)) == len(versions)


async def test_a_router_is_cached_until_a_fresh_one_is_requested(store: Store, keys: Keys):
    assert matching(await store.subscriptions.router(keys)) == []
    await store.subscriptions.save(ONE)
    assert matching(await store.subscriptions.router(keys)) == []
    assert matching(await store.subscriptions.router(keys, fresh=True)) == ["sub_1"]


async def test_removing_says_whether_there_was_one(store: Store, keys: Keys):
    await store.subscriptions.save(ONE)
    assert [
        await store.subscriptions.remove("sub_1"),
        await store.subscriptions.remove("sub_1"),
    ] == [
        True,
        False,
    ]
    assert matching(await store.subscriptions.router(keys, fresh=True)) == []


# --- the configuration file's -------------------------------------------------------------


async def test_subscriptions_of_the_file_exist_without_being_stored(store_of: Any):
    store = store_of(static={FILE.id: FILE})
    assert await store.subscriptions.listed() == [FILE]
    assert await store.subscriptions.get(FILE.id) == FILE
    assert matching(await store.subscriptions.router(store.shards[0])) == [FILE.id]


async def test_a_subscription_of_the_file_can_be_disabled(store_of: Any):
    store = store_of(static={FILE.id: FILE})
    await store.subscriptions.save(replace(FILE, secrets=("whsec_old",), disabled="answered 410"))
    found = await store.subscriptions.get(FILE.id)
    assert found == replace(FILE, disabled="answered 410")
    assert await store.subscriptions.listed() == [found]
    assert matching(await store.subscriptions.router(store.shards[0], fresh=True)) == []


async def test_a_changed_url_in_the_file_enables_the_subscription(store_of: Any, keys: Keys):
    """It was disabled because of its old URL."""
    store = store_of(static={FILE.id: FILE})
    await store.subscriptions.save(
        replace(FILE, url="https://old.example", disabled="answered 410")
    )
    assert await store.subscriptions.get(FILE.id) == FILE
    assert await store.subscriptions.listed() == [FILE]
    assert (await store.subscriptions.read(keys, [FILE.id], []))[0] == {FILE.id: FILE}
    assert matching(await store.subscriptions.router(keys, fresh=True)) == [FILE.id]


async def test_a_subscription_that_was_removed_from_the_file_is_gone(store_of: Any):
    for disabled in ("answered 410", None):  # disabled, and enabled again
        await store_of(static={FILE.id: FILE}).subscriptions.save(replace(FILE, disabled=disabled))
    store = store_of()
    assert await store.subscriptions.listed() == []
    assert await store.subscriptions.get(FILE.id) is None
    assert (await store.subscriptions.read(store.shards[0], [FILE.id], []))[0] == {FILE.id: None}
    assert matching(await store.subscriptions.router(store.shards[0])) == []


# --- shards -------------------------------------------------------------------------------


async def commits(store: Store, job: Any, shard: int) -> bool:
    """Whether a commit in this shard is accepted, with a fresh router."""
    keys = store.shards[shard]
    router = await store.subscriptions.router(keys, fresh=True)
    change = Change(job, "", save=False)
    return await store.jobs.commit(keys, router.version, [change]) is not None


async def test_every_shard_accepts_commits_after_a_change(store_of: Any, job_of: Any):
    store = store_of(shards=4)
    await store.subscriptions.save(ONE)
    for shard, keys in enumerate(store.shards):
        assert await commits(store, job_of(), shard)
        assert matching(await store.subscriptions.router(keys)) == ["sub_1"]
        assert (await store.subscriptions.read(keys, ["sub_1"], []))[0] == {"sub_1": ONE}


@pytest.mark.parametrize("shard", [0, 1, 3])
async def test_an_interrupted_change_does_not_refuse_later_commits(
    store_of: Any, job_of: Any, shard: int
):
    """A process may die, or Redis become unavailable, between two shards."""
    await store_of(shards=1).subscriptions.save(ONE)  # only the first shard was written
    store = store_of(shards=4)
    assert await commits(store, job_of(), shard)


async def test_a_shard_that_was_not_written_has_its_old_subscriptions(store_of: Any, job_of: Any):
    """Its commits use its own subscriptions, until the change is repeated."""
    await store_of(shards=1).subscriptions.save(ONE)
    store = store_of(shards=2)
    assert [matching(await store.subscriptions.router(keys)) for keys in store.shards] == [
        ["sub_1"],
        [],
    ]
    await store.subscriptions.save(ONE)
    for shard, keys in enumerate(store.shards):
        assert await commits(store, job_of(), shard)
        assert matching(await store.subscriptions.router(keys)) == ["sub_1"]


async def test_a_commit_that_matched_before_a_change_is_refused_in_that_shard(
    store_of: Any, job_of: Any
):
    store = store_of(shards=2)
    stale = [await store.subscriptions.router(keys) for keys in store.shards]
    await store.subscriptions.save(ONE)
    change = Change(job_of(), "", save=False)
    for keys, router in zip(store.shards, stale, strict=True):
        assert await store.jobs.commit(keys, router.version, [change]) is None


async def test_a_removal_continues_past_an_unavailable_shard(
    store_of: Any, monkeypatch: pytest.MonkeyPatch
):
    store = store_of(shards=3)
    await store.subscriptions.save(ONE)
    with monkeypatch.context() as patch:
        patch.setattr(
            store.subscriptions._copies, "_remove", away_in(store.subscriptions._copies, 1)
        )
        with pytest.raises(StoreUnavailable):
            await store.subscriptions.remove("sub_1")
    there = [await store.connection.redis.hlen(keys.subs) for keys in store.shards]
    assert there == [0, 1, 0]
    assert [
        await store.subscriptions.remove("sub_1"),
        await store.subscriptions.remove("sub_1"),
    ] == [
        True,
        False,
    ]
    assert await store.connection.redis.hlen(store.shards[1].subs) == 0


def away_in(targets: Any, shard: int) -> Any:
    """Remove it while one shard is unavailable."""
    remove = targets._remove

    async def removed(keys: Keys, target: str) -> bool:
        if keys.shard == shard:
            raise StoreUnavailable("Redis is away")
        return bool(await remove(keys, target))

    return removed


# --- Redis lost its last writes -----------------------------------------------------------


async def test_a_commit_that_matched_before_redis_lost_data_is_refused(store: Store, job_of: Any):
    """A later subscription does not restore an old version."""
    keys, redis = store.shards[0], store.connection.redis
    await store.subscriptions.save(ONE)
    kept = {key: await redis.dump(key) for key in (keys.subs, keys.subs_version)}
    await store.subscriptions.save(TWO)
    stale = await store.subscriptions.router(keys, fresh=True)
    for restored, made in ((kept, 1), ({}, 2)):  # a counter would have its old value
        await redis.flushall()
        for key, value in restored.items():
            await redis.restore(key, 0, value)
        for n in range(made):
            await store.subscriptions.save(replace(TWO, id=f"sub_{3 + n}"))
        change = Change(job_of(), "", save=False)
        assert await store.jobs.commit(keys, stale.version, [change]) is None


# --- a change that was cut between two shards ---------------------------------------------


@pytest.fixture
def four(store_of: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Four shards that have a subscription, and `cut(n)`: of the next writes to the other shards
    than the first only so many succeed, None: all.
    """
    store = store_of(shards=4)
    left: list[int | None] = [None]
    write = store.subscriptions._copies._write

    async def writes(keys: Keys, target: str, doc: bytes | None) -> None:
        if keys.shard and left[0] is not None:
            if left[0] == 0:
                raise StoreUnavailable("Redis is away")
            left[0] -= 1
        await write(keys, target, doc)

    monkeypatch.setattr(store.subscriptions._copies, "_write", writes)
    store.cut = lambda count: left.__setitem__(0, count)
    return store


async def states(store: Store, target: str = "sub_1") -> list[Any]:
    """The stored subscription in each shard."""
    found = [
        (await store.subscriptions.read(keys, [target], []))[0][target] for keys in store.shards
    ]
    return [one and (one.disabled, one.events, one.secrets) for one in found]


def off(subscription: Subscription) -> Subscription:
    return replace(subscription, disabled="answered 410")


EDITS = {
    "disable": off,
    "enable": lambda s: replace(s, disabled=None),
    "patch": lambda s: replace(s, events=("job.failed",)),
    "rotate": lambda s: replace(s, secrets=("whsec_new", "whsec_a")),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("written", [0, 1, 2])
async def test_a_repeated_change_reaches_every_shard(four: Any, edit: Any, written: int):
    begun = off(ONE) if edit is EDITS["enable"] else ONE
    await four.subscriptions.save(begun)
    four.cut(written)
    with pytest.raises(StoreUnavailable):
        await four.subscriptions.change("sub_1", edit)
    assert len(set(await states(four))) == 2
    four.cut(None)
    await four.subscriptions.change("sub_1", edit)
    new = edit(begun)
    assert await states(four) == [(new.disabled, new.events, new.secrets)] * 4
    before = [await four.subscriptions.router(keys, fresh=True) for keys in four.shards]
    await four.subscriptions.change("sub_1", edit)  # again: no commit is refused without need
    after = [await four.subscriptions.router(keys, fresh=True) for keys in four.shards]
    assert [r.version for r in after] == [r.version for r in before]


@pytest.mark.parametrize("written", [0, 1, 2])
async def test_the_clock_repairs_shards_that_differ(four: Any, written: int):
    await four.subscriptions.save(ONE)
    four.cut(written)
    with pytest.raises(StoreUnavailable):
        await four.subscriptions.change("sub_1", off)
    four.cut(None)
    assert [await four.subscriptions.repair(), await four.subscriptions.repair()] == [[], ["sub_1"]]
    assert await states(four) == [("answered 410", ONE.events, ONE.secrets)] * 4
    assert [await four.subscriptions.repair(), await four.subscriptions.repair()] == [[], []]


@pytest.mark.parametrize("written", [0, 1, 2])
async def test_an_interrupted_creation_leaves_nothing(four: Any, written: int):
    """The caller got 503, and repeats it under another id."""
    four.cut(written)
    with pytest.raises(StoreUnavailable):
        await four.subscriptions.save(ONE)
    four.cut(None)
    assert await four.subscriptions.listed() == []
    for _ in range(2):
        await four.subscriptions.repair()
    assert await states(four) == [None] * 4


async def test_the_clock_finishes_an_interrupted_removal(store_of: Any):
    store, first = store_of(shards=4), store_of(shards=1)
    await store.subscriptions.save(ONE)
    assert await first.subscriptions.remove("sub_1")
    assert await states(store) == [None, *[(None, ONE.events, ONE.secrets)] * 3]
    for _ in range(2):
        await store.subscriptions.repair()
    assert await states(store) == [None] * 4


async def test_a_removal_during_changes_removes_it_from_every_shard(either: Store):
    for n in range(20):
        one = replace(ONE, id=f"sub_{n}")
        await either.subscriptions.save(one)
        await asyncio.gather(
            either.subscriptions.change(one.id, off),
            either.subscriptions.remove(one.id),
            either.subscriptions.change(one.id, EDITS["patch"]),
        )
        assert await states(either, one.id) == [None, None]


async def test_shards_that_agree_are_not_read_again_until_something_changes(four: Any):
    await four.subscriptions.save(ONE)
    await four.subscriptions.repair()
    calls = (await four.connection.redis.info("commandstats")).get("cmdstat_hgetall", {})
    await four.subscriptions.repair()
    again = (await four.connection.redis.info("commandstats")).get("cmdstat_hgetall", {})
    assert calls["calls"] == again["calls"]


# --- callbacks ----------------------------------------------------------------------------


async def test_a_callback_target_lives_as_long_as_its_job(store: Store, keys: Keys):
    target = Subscription(id="cb_1", url="https://cb.example", secrets=("whsec_d",))
    await store.subscriptions.save_callback(keys, target, await store.now() + 60)
    found, _ = await store.subscriptions.read(keys, ["cb_1", "sub_1", "cb_2"], [])
    assert found == {"cb_1": target, "sub_1": None, "cb_2": None}
    assert await store.connection.redis.pttl(keys.callback("cb_1")) == pytest.approx(
        60_000, abs=2_000
    )


async def test_a_repeated_callback_target_never_expires_sooner(store: Store, keys: Keys):
    target = Subscription(id="cb_1", url="https://cb.example", secrets=("whsec_d",))
    now = await store.now()
    for seconds in (60, 30, 90):
        await store.subscriptions.save_callback(keys, target, now + seconds)
    assert await store.connection.redis.pttl(keys.callback("cb_1")) == pytest.approx(
        90_000, abs=2_000
    )


# --- changes beside others' ---------------------------------------------------------------


@pytest.fixture(params=[(), (K1,), (K2, K1)], ids=["plain", "sealed", "two keys"])
def either(request: pytest.FixtureRequest, store_of: Any) -> Store:
    """Stores without and with encryption of secrets."""
    made: Store = store_of(shards=2, vault=Vault(request.param))
    return made


async def test_concurrent_changes_end_the_same_in_every_shard(either: Store):
    await either.subscriptions.save(ONE)

    def more(subscription: Subscription) -> Subscription:
        return replace(subscription, metadata={"n": subscription.metadata.get("n", 0) + 1})

    await asyncio.gather(*(either.subscriptions.change("sub_1", more) for _ in range(8)))
    for keys in either.shards:
        found = (await either.subscriptions.read(keys, ["sub_1"], []))[0]["sub_1"]
        assert found == replace(ONE, metadata={"n": 8})


# --- sealed -------------------------------------------------------------------------------

HIDDEN = replace(ONE, secrets=("whsec_new", "whsec_old"), headers={"x-key": "open-sesame"})


async def raw(store: Store, target: str = "sub_1") -> Subscription:
    """The stored form of a subscription."""
    doc = await store.connection.redis.hget(store.shards[0].subs, target)
    return msgspec.json.decode(doc, type=Subscription)


def keys_of(kept: Subscription) -> set[str]:
    """The master keys of its secrets."""
    texts = (*kept.secrets, *kept.headers.values())
    return {key_of(text) if is_sealed(text) else "plain" for text in texts}


async def test_secrets_are_encrypted_in_redis_and_decrypted_when_read(
    store_of: Any, everything: Any
):
    store = store_of(shards=2, vault=Vault([K1]))
    callback = Subscription(id="cb_1", url="https://cb.example", secrets=("whsec_callback",))
    await store.subscriptions.save(HIDDEN)
    await store.subscriptions.save_callback(store.shards[1], callback, await store.now() + 60)
    found, _ = await store.subscriptions.read(store.shards[1], ["sub_1", "cb_1"], [])
    assert found == {"sub_1": HIDDEN, "cb_1": callback}
    assert await store.subscriptions.get("sub_1") == HIDDEN
    assert await store.subscriptions.listed() == [HIDDEN]
    dump = str(everything())
    for text in ("whsec_new", "whsec_old", "whsec_callback", "open-sesame"):
        assert text not in dump


async def test_an_encrypted_secret_cannot_be_moved(store_of: Any):
    store = store_of(vault=Vault([K1]))
    await store.subscriptions.save(HIDDEN)
    kept = await raw(store)
    for moved in (
        replace(kept, id="sub_2"),
        replace(kept, secrets=(kept.headers["x-key"],), headers={}),
        replace(kept, headers={"x-key": kept.secrets[0]}),
        replace(kept, headers={"x-other": kept.headers["x-key"]}),
    ):
        await store.connection.redis.hset(
            store.shards[0].subs, moved.id, msgspec.json.encode(moved)
        )
        found = await store.subscriptions.get(moved.id)
        assert [t for t in (*found.secrets, *found.headers.values()) if is_sealed(t)]
        await store.subscriptions.remove(moved.id)


async def test_plain_secrets_are_read_and_encrypted_when_written_again(store_of: Any):
    await store_of().subscriptions.save(HIDDEN)
    store = store_of(vault=Vault([K1]))
    assert await store.subscriptions.get("sub_1") == HIDDEN
    assert keys_of(await raw(store)) == {"plain"}
    await disabled(store, HIDDEN.id)
    assert keys_of(await raw(store)) == {"k1"}
    assert await store.subscriptions.get("sub_1") == replace(HIDDEN, disabled="answered 410")


async def test_a_plain_callback_target_is_encrypted_when_it_is_requested_again(store_of: Any):
    target = Subscription(id="cb_1", url="https://cb.example", secrets=("whsec_d",))
    plain, store = store_of(), store_of(vault=Vault([K1]))
    for one in (plain, store):
        await one.subscriptions.save_callback(one.shards[0], target, await one.now() + 60)
    kept = await store.connection.redis.get(store.shards[0].callback("cb_1"))
    assert b"whsec_d" not in kept


async def test_secrets_of_the_file_are_never_stored(store_of: Any, everything: Any):
    """Not even without a master key: only that it is disabled is stored."""
    store = store_of(static={FILE.id: FILE})
    await disabled(store, FILE.id)
    assert await store.subscriptions.get(FILE.id) == replace(FILE, disabled="answered 410")
    assert "whsec_c" not in str(everything())


async def test_a_secret_that_cannot_be_decrypted_is_logged_once_and_kept(store_of: Any):
    await store_of(vault=Vault([K1])).subscriptions.save(HIDDEN)
    store = store_of(vault=Vault([K2]))
    with capture_logs() as logged:
        for _ in range(3):
            found = await store.subscriptions.get("sub_1")
            assert await store.subscriptions.listed() == [found]
    ((line),) = logged
    assert (line["event"], line["target"], line["key"]) == ("secret_decrypt_failed", "sub_1", "k1")
    assert "RINGBACK_MASTER_KEYS" in line["reason"]
    assert (found.id, found.url) == (HIDDEN.id, HIDDEN.url)
    await disabled(store, found.id)
    back = store_of(vault=Vault([K2, K1]))
    assert await back.subscriptions.get("sub_1") == replace(HIDDEN, disabled="answered 410")


async def test_an_old_secret_that_cannot_be_decrypted_does_not_stop_the_new_one(
    store_of: Any, keys: Keys
):
    """Rotating the secret is the remedy for a lost master key."""
    await store_of(vault=Vault([K1])).subscriptions.save(ONE)
    store = store_of(vault=Vault([K2]))
    lost = await store.subscriptions.get("sub_1")
    await store.subscriptions.save(replace(lost, secrets=("whsec_new", lost.secrets[0])))
    found = (await store.subscriptions.read(keys, ["sub_1"], []))[0]["sub_1"]
    assert found.secrets == ("whsec_new",)
    await disabled(store, found.id)
    back = store_of(vault=Vault([K2, K1]))
    assert (await back.subscriptions.get("sub_1")).secrets == ("whsec_new", "whsec_a")


# --- sealed again -------------------------------------------------------------------------


async def test_everything_is_encrypted_with_the_newest_key(store_of: Any, everything: Any):
    callback = Subscription(id="cb_1", url="https://cb.example", secrets=("whsec_d",))
    now = await store_of().now()
    plain, old = store_of(shards=2), store_of(shards=2, vault=Vault([K1]))
    lasting = replace(HIDDEN, old_secret_until=now + 60)
    await plain.subscriptions.save(lasting)
    await old.subscriptions.save(TWO)
    await old.subscriptions.save_callback(old.shards[1], callback, now + 60)
    store = store_of(shards=2, vault=Vault([K2, K1]))
    report = await store.resealer.run()
    assert (report.sealed, report.already, report.unopened) == (
        {"sub_1", "sub_2", "cb_1"},
        set(),
        {},
    )
    assert 0 < await store.connection.redis.pttl(store.shards[1].callback("cb_1")) <= 60_000
    before = everything()
    again = await store.resealer.run()
    assert (again.sealed, again.already) == (set(), report.sealed)
    assert everything() == before
    alone = store_of(shards=2, vault=Vault([K2]))  # the old key is not needed
    assert await alone.subscriptions.listed() == [TWO, lasting]
    assert (await alone.subscriptions.read(alone.shards[1], ["cb_1"], []))[0] == {"cb_1": callback}


async def test_resealing_refuses_no_commit(store_of: Any, job_of: Any):
    """The meaning of the subscriptions does not change."""
    await store_of().subscriptions.save(ONE)
    store = store_of(vault=Vault([K1]))
    router = await store.subscriptions.router(store.shards[0])
    await store.resealer.run()
    change = Change(job_of(), "", save=False)
    assert await store.jobs.commit(store.shards[0], router.version, [change]) is not None


async def test_expired_secrets_need_no_key(store_of: Any):
    await store_of(vault=Vault([K1])).subscriptions.save(ONE)
    store = store_of(vault=Vault([K2]))
    lost = await store.subscriptions.get("sub_1")
    await store.subscriptions.save(replace(lost, secrets=("whsec_new", lost.secrets[0])))
    report = await store.resealer.run()
    assert (report.sealed, report.unopened) == ({"sub_1"}, {})
    assert (await store.subscriptions.get("sub_1")).secrets == ("whsec_new",)


async def test_a_secret_that_cannot_be_resealed_is_reported_and_delays_nothing(store_of: Any):
    await store_of(vault=Vault([K1])).subscriptions.save(ONE)
    await store_of().subscriptions.save(TWO)
    before = await raw(store := store_of(vault=Vault([K2])))
    report = await store.resealer.run()
    assert (report.sealed, report.already) == ({"sub_2"}, set())
    assert "'k1'" in report.unopened["sub_1"]
    assert await raw(store) == before


async def test_stored_secrets_of_the_file_are_removed(store_of: Any, everything: Any):
    """Earlier versions stored them when they disabled a subscription."""
    store = store_of(vault=Vault([K1]))
    doc = msgspec.json.encode(replace(FILE, disabled="answered 410"))
    await store.connection.redis.hset(store.shards[0].subs, FILE.id, doc)
    assert (await store.resealer.run()).sealed == {FILE.id}
    assert "whsec_c" not in str(everything())
    assert (await raw(store, FILE.id)).disabled == "answered 410"


async def test_resealing_never_overwrites_a_concurrent_change(store_of: Any):
    """A concurrent change wins, and its secrets are encrypted too."""
    names = [f"sub_{n}" for n in range(30)]
    for name in names:
        await store_of().subscriptions.save(replace(ONE, id=name))
    store, other = store_of(vault=Vault([K2, K1])), store_of(vault=Vault([K2, K1]))

    async def change(name: str) -> None:
        await other.subscriptions.save(replace(ONE, id=name, url=f"https://{name}.example"))

    await asyncio.gather(store.resealer.run(), *map(change, names))
    found = {s.id: s.url for s in await other.subscriptions.listed()}
    assert found == {name: f"https://{name}.example" for name in names}
    assert {key for name in names for key in keys_of(await raw(store, name))} == {"k2"}


async def test_resealing_does_not_restore_removed_subscriptions(store_of: Any):
    for n in range(30):
        await store_of().subscriptions.save(replace(ONE, id=f"sub_{n}"))
    store = store_of(vault=Vault([K1]))
    await asyncio.gather(
        store.resealer.run(), *(store.subscriptions.remove(f"sub_{n}") for n in range(30))
    )
    assert await store.subscriptions.listed() == []
