"""Buckets: one budget for all processes, shards and sources with the same credential."""

import asyncio
import time
from typing import Any

import pytest

from processor.errors import WrongKeyType
from processor.store import Store
from processor.store.buckets import TRANSIT, pace
from processor.store.fleet import Fleet

TOKEN = b"https://api.example s3cret"


async def spend(
    stores: list[Store], budget: tuple[int, float], count: int
) -> tuple[list[float], list[float]]:
    """Take so many requests, as fast as they are given: Redis' time before and after each, in ms,
    both sorted.
    """
    before: list[float] = []
    after: list[float] = []

    async def time_of(store: Store) -> float:
        seconds, micros = await store.connection.redis.time()
        return float(seconds * 1000 + micros / 1000)

    async def ask(store: Store) -> None:
        while len(after) < count:
            began = await time_of(store)
            answers = await asyncio.gather(*(store.buckets.take(TOKEN, budget) for _ in range(5)))
            before.extend([began] * answers.count(None))
            after.extend([await time_of(store)] * answers.count(None))

    await asyncio.gather(*map(ask, stores))
    return sorted(before), sorted(after)


@pytest.mark.parametrize(
    ("budget", "count"), [((1, 0.4), 4), ((3, 0.6), 8), ((20, 1.2), 40), ((200, 1.6), 400)]
)
async def test_no_window_has_more_than_the_budget_whoever_takes(
    store_of: Any, budget: tuple[int, float], count: int
):
    stores = [store_of(shards=n) for n in (2, 2, 2)]
    began = time.monotonic()
    before, after = await spend(stores, budget, count)
    window = (
        budget[1] * 1000
    )  # ms; the n-th request was between the n-th of `before` and of `after`
    assert all(late - early >= window for early, late in zip(before, after[budget[0] :]))  # noqa: B905
    gap, burst = pace(budget)
    assert time.monotonic() - began >= (count - burst - 1) * gap / 1000


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 19, 20, 600, 5000])
def test_a_budget_holds_where_requests_take_different_ways(count: int):
    """The most requests in a window that is longer by nearly `TRANSIT`: a burst, and what flows."""
    gap, burst = pace((count, 60.0))
    longest = 60_000 * (1 + TRANSIT) - 0.001
    assert burst + int(longest / gap) <= count
    assert count < 10 or burst + int(60_000 / gap) >= 0.94 * count  # and little of it is wasted


async def test_a_refused_request_is_told_when_the_next_one_may_be_sent(store: Store):
    budget = (10, 60.0)
    assert await store.buckets.take(TOKEN, budget) is None
    at = await store.buckets.take(TOKEN, budget)
    gap, _ = pace(budget)
    assert at is not None
    assert at - await store.now() == pytest.approx(gap / 1000, abs=1)
    assert await store.buckets.take(TOKEN, budget) == pytest.approx(at, abs=0.01)  # took nothing


async def test_many_at_the_same_time_share_a_round_trip(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    await store.fleet.id()
    calls, run = [], store.connection.run

    async def counted(name: str, *more: Any, **options: Any) -> Any:
        calls.append(name)
        return await run(name, *more, **options)

    monkeypatch.setattr(store.connection, "run", counted)
    takes = [store.buckets.take(b"%d" % (n % 3), (100, 1.0)) for n in range(100)]
    answers = await asyncio.gather(*takes)
    assert calls == ["take"]
    assert answers.count(None) == 30  # each bucket's burst


async def test_requests_that_are_left_to_others_are_not_taken(store: Store):
    budget = (100, 60.0)
    mine = [await store.buckets.take(TOKEN, budget, left=6) for _ in range(10)]
    assert mine.count(None) == 4
    assert [await store.buckets.take(TOKEN, budget) for _ in range(7)].count(None) == 6


async def test_a_parked_bucket_gives_nothing_with_or_without_a_budget(store_of: Any):
    one, other = store_of(), store_of(shards=1)
    until = await one.now() + 60
    await one.buckets.park(TOKEN, until)
    await one.buckets.park(TOKEN, until - 50)  # never ends a pause earlier
    for budget in (None, (100, 1.0)):
        assert await other.buckets.take(TOKEN, budget) == pytest.approx(until, abs=0.002)
    assert await other.buckets.take(b"another", None) is None


async def test_after_the_pause_requests_may_be_sent(store: Store, wait_until: Any):
    await store.buckets.park(TOKEN, await store.now() + 0.1)

    async def is_over() -> bool:
        return await store.buckets.take(TOKEN, None) is None

    assert not await is_over()
    await wait_until(is_over)


async def test_the_key_is_a_digest_that_no_other_store_makes(store_of: Any, redis_url: str):
    one, other = store_of(), store_of()
    for store in (one, other):
        await store.buckets.take(TOKEN, (10, 60.0))
    (key,) = await one.connection.redis.keys("*bucket:*")
    assert b"s3cret" not in key
    await one.connection.redis.flushall()
    fresh = store_of()
    await fresh.buckets.take(TOKEN, (10, 60.0))
    (again,) = await one.connection.redis.keys("*bucket:*")
    assert again != key
    other.forget()  # it noticed that the store was replaced
    await other.buckets.take(TOKEN, (10, 60.0))
    assert await one.connection.redis.keys("*bucket:*") == [again]


async def test_all_processes_make_the_same_store(store_of: Any):
    ids = await asyncio.gather(*(store_of().fleet.id() for _ in range(5)))
    assert len(set(ids)) == 1
    assert isinstance(store_of().fleet, Fleet)


async def test_a_bucket_of_another_type_fails_alone(store: Store):
    await store.buckets.take(TOKEN, (10, 60.0))
    (key,) = await store.connection.redis.keys("*bucket:*")
    await store.connection.redis.set(key, "theirs")
    answers = await asyncio.gather(
        store.buckets.take(TOKEN, None), store.buckets.take(b"x", None), return_exceptions=True
    )
    assert isinstance(answers[0], WrongKeyType)
    assert answers[1] is None
    await store.connection.redis.delete(key)


async def test_a_bucket_does_not_wait_longer_when_redis_clock_is_set_back(store: Store):
    budget = (10, 60.0)
    await store.buckets.take(TOKEN, budget)
    await store.buckets.park(TOKEN, await store.now() + 30)
    (key,) = await store.connection.redis.keys("*bucket:*")
    redis, hour = store.connection.redis, 3_600_000
    row = await redis.hgetall(key)  # as if all of it had been written an hour ahead
    await redis.hset(key, mapping={name: float(at) + hour for name, at in row.items()})
    at = await store.buckets.take(TOKEN, budget)
    assert at is not None
    assert at - await store.now() == pytest.approx(30, abs=3)
