"""Waiting work is counted, whatever is repeated; concurrent pushes stay within the limit."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.errors import Overloaded
from processor.model import NULL, StatusUpdate
from processor.store import Store, reserve
from processor.store.change import Change
from processor.store.inbox import Bounds
from processor.store.keys import Keys
from processor.store.memory import MemoryUse, Waiting
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement, WorkItem

WIDE = LaneLimits(1000)
MIB = 1024 * 1024


async def accept(store: Store, *updates: StatusUpdate, keys: Keys | None = None) -> Any:
    """Queue updates, each under a name of its job."""
    return await store.inbox.accept(keys or store.shards[0], [(f"p{u.id}", u) for u in updates])


async def claim(store: Store, limit: int = 100, **more: Any) -> list[Claim]:
    return await store.backlogs.claim(store.shards[0], "ingest", limit, lambda _: WIDE, **more)


async def waiting(store: Store) -> dict[str, tuple[int, int]]:
    """Updates and their bytes, by source."""
    await store.memory.refresh_now()
    return {source: (w.updates, w.size) for source, w in store.memory.use.waiting.items()}


async def in_redis(store: Store) -> dict[str, tuple[int, int]]:
    """The same, counted item by item."""
    found: dict[str, tuple[int, int]] = {}
    for keys in store.shards:
        items = await store.connection.redis.hgetall(keys.items["ingest"])
        for item, payload in items.items():
            source, _, rest = item.decode().partition(":")
            if source != "deadline" or "/" not in rest:
                count, size = found.get(source, (0, 0))
                found[source] = count + 1, size + len(payload)
    return found


async def test_waiting_updates_are_counted(store: Store, update_of: Any):
    assert (
        await accept(store, update_of("1"), update_of("2"), update_of("3", source="t"))
        == [True] * 3
    )
    counted = await waiting(store)
    assert counted == await in_redis(store)
    assert {source: count for source, (count, _) in counted.items()} == {"s": 2, "t": 1}


async def test_a_repetition_counts_once(store: Store, update_of: Any):
    await accept(store, update_of("1"))
    await accept(store, update_of("1"), update_of("1"))
    assert await waiting(store) == await in_redis(store)
    await store.connection.redis.delete(store.shards[0].seen("s", "p1"))  # its mark has ended
    await accept(store, update_of("1"))
    assert await waiting(store) == await in_redis(store)


async def test_a_postponed_update_counts_and_a_settled_one_does_not(store: Store, update_of: Any):
    await accept(store, *(update_of(str(n)) for n in range(5)))
    one, two, three, *_ = await claim(store)
    await store.backlogs.settle(
        [Settlement(one, NOW, one.payload), Settlement(two), Settlement(two)]
    )
    assert await waiting(store) == await in_redis(store)
    await store.backlogs.settle([Settlement(two), Settlement(three, NOW, b"other")])
    assert await waiting(store) == await in_redis(store)
    assert (await waiting(store))["s"][0] == 4


async def test_a_commit_subtracts_the_updates_that_it_ends(
    store: Store, update_of: Any, job_of: Any
):
    await accept(store, *(update_of(str(n)) for n in range(5)))
    claims = await claim(store)
    done = Change(job=job_of("a"), version="", save=True, renew=True, done=claims[:3])
    assert await store.jobs.commit(store.shards[0], "0", [done]) == [True]
    assert await waiting(store) == await in_redis(store)
    assert await store.jobs.commit(store.shards[0], "0", [done]) == [False]
    assert (await waiting(store))["s"][0] == 2
    last = Change(job=job_of("b"), version="", save=True, renew=True, done=claims)
    assert await store.jobs.commit(store.shards[0], "0", [last]) == [True]
    assert await waiting(store) == {}


async def test_deadlines_count_as_timers_not_as_updates(store: Store, job_of: Any, update_of: Any):
    names = ("deadline:s/1", "deadline:s/a:b/c", "deadline:deadline/1")
    items = [WorkItem("ingest", "s", name, 9e9, b"x" * 100) for name in names]
    change = Change(job=job_of("1"), version="", save=True, renew=True, items=items)
    await store.jobs.commit(store.shards[0], "0", [change])
    await accept(store, update_of("1", source="deadline"), update_of("a/b"))
    counted = await waiting(store)
    assert {source: count for source, (count, _) in counted.items()} == {"deadline": 1, "s": 1}
    assert store.memory.use.timers == 3


async def test_all_shards_are_added_up(store_of: Any, update_of: Any):
    store = store_of(shards=3)
    for number, keys in enumerate(store.shards, 1):
        ids = [n for n in map(str, range(100)) if store.shard("s", n) is keys][:number]
        await accept(store, *map(update_of, ids), keys=keys)
    assert await waiting(store) == await in_redis(store)
    assert (await waiting(store))["s"][0] == 6


async def test_each_update_is_priced_with_the_record_that_it_is_about(
    store: Store, update_of: Any, job_of: Any
):
    large = Change(job=job_of("1", metadata={"a": "x" * 60_000}), version="", save=True, renew=True)
    await store.jobs.commit(store.shards[0], "0", [large])
    await accept(store, update_of("1"), update_of("2"))
    await store.memory.refresh_now()
    assert store.memory.use.waiting["s"].records > 60_000
    assert store.memory.reserved > 2 * 60_000
    first, _ = await claim(store)
    await store.backlogs.settle([Settlement(first)])
    await store.memory.refresh_now()
    assert 30_000 < store.memory.use.waiting["s"].records < 31_000  # its share
    await store.backlogs.settle([Settlement(c) for c in await claim(store)] or [Settlement(first)])


async def test_pushes_beyond_the_ceiling_are_all_refused(
    store: Store, update_of: Any, everything: Callable[[], dict[str, Any]]
):
    """Whichever receiver admits them: Redis has the sum for all receivers."""
    keys, one = store.shards[0], update_of("1")
    await store.memory.refresh_now()
    price = reserve.update_price(1, 100, 1)
    taken = Bounds(10 * price, lambda _: 1)
    done = []
    for receiver in range(20):
        pushes = [(f"r{receiver}p{n}", one) for n in range(3)]
        before = everything()
        done.append(await store.inbox.accept(keys, pushes, bounds=taken))
        if done[-1] is None:
            assert everything() == before
    assert done[:3] == [[True] * 3] * 3
    assert done[4:] == [None] * 16
    assert await store.inbox.accept(keys, [("moved", one)]) == [True]  # accepted work


async def test_a_claim_takes_no_more_than_fits(store: Store, update_of: Any):
    result = NULL.__class__(b'"' + b"x" * 10_000 + b'"')
    await accept(store, *(update_of(str(n), result=result) for n in range(20)))
    claims = await claim(store, size=25_000)
    assert len(claims) == 3
    rest = [await claim(store, size=25_000) for _ in range(8)]
    assert sum(map(len, rest)) == 17
    assert len({c.item for c in claims + [c for part in rest for c in part]}) == 20
    assert len(await claim(store, size=1)) == 0


async def test_a_claim_takes_one_however_large_it_is(store: Store, update_of: Any):
    await accept(store, update_of("1", result=NULL.__class__(b'"' + b"x" * 50_000 + b'"')))
    assert len(await claim(store, size=1)) == 1


@pytest.fixture
async def limited(store: Store) -> AsyncIterator[Callable[[float], Any]]:
    """Sets `maxmemory` so that Redis is so full, and lets the store read that."""
    redis = store.connection.redis

    async def limit(fullness: float) -> None:
        await store.subscriptions.router(store.shards[0])
        used = (await redis.info("memory"))["used_memory"]
        await redis.config_set("maxmemory", int(used / fullness))
        await store.memory.refresh_now()

    yield limit
    await redis.config_set("maxmemory", 0)


async def test_without_a_limit_everything_is_admitted(store: Store):
    await store.memory.refresh_now()
    async with store.memory.admitted(10**15):
        assert not store.memory.short
    assert store.memory.ceiling(0) is None


async def test_concurrent_admissions_do_not_exceed_the_room(store: Store, limited: Any):
    await limited(0.5)
    memory, let_in = store.memory, 0
    piece = memory._room_seen // 10
    gate = asyncio.Event()

    async def one() -> None:
        nonlocal let_in
        async with memory.admitted(piece):
            let_in += 1
            await gate.wait()

    tasks = [asyncio.create_task(one()) for _ in range(50)]
    await asyncio.wait(tasks, timeout=0.5)
    assert 8 <= let_in <= 10
    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 50 - let_in


async def test_short_memory_and_its_recovery_are_logged_once(
    store: Store, limited: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("processor.store.memory_budget.QUIET", 0.0)
    await limited(0.9)
    with capture_logs() as lines:
        for _ in range(5):
            with pytest.raises(Overloaded, match="maxmemory"):
                async with store.memory.admitted(1000):
                    pass
        await limited(0.2)
        await store.memory.refresh_now()
        async with store.memory.admitted(1000):
            pass
    assert [line["event"] for line in lines] == ["memory_short", "memory_recovered"]


async def test_the_reserve_counts_against_the_room(store: Store, limited: Any, update_of: Any):
    await limited(0.6)
    await accept(store, *(update_of(str(n)) for n in range(200)))
    await store.memory.refresh_now()
    assert store.memory.reserved >= 200 * reserve.UPDATE
    use = store.memory.use
    room = int(reserve.FULL * use.limit) - use.used - store.memory.reserved
    assert store.memory._room_seen == room


def test_the_reserve_rises_with_waiting_work():
    def reserved(**more: Any) -> int:
        return reserve.reserve(MemoryUse(0, **more), lambda _: 2)

    assert reserved() == 0
    one = reserved(waiting={"s": Waiting(1, 100, 0)})
    assert one == reserve.UPDATE + 2 * reserve.ARRIVED + 130
    assert reserved(waiting={"s": Waiting(2, 200, 0)}) == 2 * one
    assert reserved(waiting={"s": Waiting(1, 30_100, 0)}) - one == 39_000
    assert reserved(waiting={"s": Waiting(1, 100, 50_000)}) - one == 130_000
    assert reserved(deliveries=3) == 3 * reserve.WAITING
    assert reserved(overflow=3) == 3 * reserve.ARRIVED
    assert reserved(timers=100_000) == 100_000 * reserve.TIMER < 100_000 * one
