"""A commit claims exactly what a claim right after it would: they admit by the same rules.

Each example is built twice on an empty Redis. Once a worker commits and then claims, once it claims
with its commit; what it got and what is left in the lanes must be the same.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st

from processor.model import Job, JobOrder, Retention
from processor.store import Store
from processor.store.change import Change, NewEvent
from processor.store.jobs import Committed
from processor.store.keys import Keys
from processor.store.work_items import NOW, LaneLimits, Room, WorkItem

FAR = 4_000_000_000.0  # seconds
WIDE = LaneLimits(1000)
JOB = Job("s", "p", "1", "u", 0.0, 60.0, FAR)
LANES = ("sub_1", "sub_2")


class Before(NamedTuple):
    """What a lane has before the commit, and how much may start in it."""

    due: int = 0
    later: int = 0
    retries: int = 0
    held: int = 0
    ended: int = 0  # held, but the lease has ended
    order: int = 0  # of the job of the commit, before its delivery
    paused: int = 0  # 1: now, -1: until a moment ago
    capacity: int = 1000
    fair: int = 1000
    budget: tuple[int, float] | None = None

    @property
    def limits(self) -> LaneLimits:
        """The limits of the lane."""
        return LaneLimits(self.capacity, self.budget, self.fair)


few = st.integers(0, 4)
few_examples = settings(max_examples=max(25, settings.default.max_examples // 4))
befores = st.builds(
    Before,
    due=few,
    later=few,
    retries=st.just(0),
    held=few,
    ended=few,
    order=st.integers(0, 2),
    paused=st.sampled_from([0, 0, 0, 1, -1]),
    capacity=st.sampled_from([1, 3, 1000]),
    fair=st.sampled_from([1, 2, 1000]),
    budget=st.sampled_from([None, None, (1, 60.0), (30, 60.0)]),
)
# Which part of the places is for retries depends on the time, unless tenths come out even.
with_retries = st.tuples(st.integers(0, 30), st.integers(0, 5)).map(
    lambda counts: Before(due=counts[0], retries=counts[1])
)


def whole(event: str, *items: WorkItem) -> Change:
    """A change with one event and these deliveries."""
    return Change(JOB, "", save=False, events=[NewEvent(event, "job.completed", b"{}", items)])


def item(lane: str, name: str, at: float = NOW, order: JobOrder | None = None) -> WorkItem:
    """A delivery."""
    return WorkItem("deliver", lane, name, at, name.encode(), order)


class Worker:
    """Commits, and claims what it may."""

    def __init__(self, store: Store, lanes: dict[str, Before]) -> None:
        self.store, self.lanes = store, lanes
        self.keys: Keys = store.shards[0]

    async def prepare(self) -> None:
        """Build what was there before the commit."""
        await self.store.connection.redis.flushall()
        for lane, before in self.lanes.items():
            await self.fill(lane, before)

    async def fill(self, lane: str, before: Before) -> None:
        """Fill one lane: everything waits for later, until its time or its place is changed."""
        own = self.keys.lane("deliver", lane)
        places = {
            "due": ("due", 1, before.due),
            "later": ("due", FAR * 1000, before.later),
            "again": ("retries", 1, before.retries),
            "held": ("claimed", FAR * 1000, before.held),
            "ended": ("claimed", 1, before.ended),
        }
        names = {f"{lane}-{word}{n}": word for word, row in places.items() for n in range(row[2])}
        first = [
            item(lane, f"{lane}-first{n}", order=JobOrder(JOB.uid, n + 1))
            for n in range(before.order)
        ]
        change = whole("evt_old", *(item(lane, name, FAR) for name in names), *first)
        assert await self.store.jobs.commit(self.keys, "0", [change]) == [True]
        pipe = self.store.connection.redis.pipeline()
        for name, word in names.items():
            part, at, _ = places[word]
            pipe.zrem(own["due"], name)
            pipe.zadd(own[part], {name: at})
        pipe.zadd(self.keys.lanes["deliver"], {lane: 1})
        await pipe.execute()
        if before.paused:
            until = await self.store.now() + before.paused * 60
            await self.store.backlogs.pause("deliver", lane, until)

    async def commit(self, limit: int, *, ordered: bool, apart: bool) -> list[str]:
        """Commit a delivery to each lane, and claim; the items in the order of claiming."""
        order = JobOrder(JOB.uid, 9) if ordered else None
        news = [item(lane, f"{lane}-new", order=order) for lane in self.lanes]
        change = whole("evt_new", *news)
        if apart:
            assert await self.store.jobs.commit(self.keys, "0", [change]) == [True]
            claims = await self.store.backlogs.claim(self.keys, "deliver", limit, self.limits)
        else:
            room = Room(limit, 1 << 20, self.limits)
            done = await self.store.jobs.commit_and_claim(self.keys, "0", [change], room)
            assert isinstance(done, Committed)
            assert done.outcomes == [True]
            claims = done.claims
        assert [c.payload.decode() for c in claims] == [c.item for c in claims]
        return [c.item for c in claims]

    def limits(self, lane: str) -> LaneLimits:
        """The limits of a lane."""
        return self.lanes[lane].limits

    async def left(self) -> dict[str, Any]:
        """What is left in all lanes, and what is known about them."""
        redis, found = self.store.connection.redis, {}
        seconds, micros = await redis.time()
        now = seconds * 1000 + micros / 1000
        for key in sorted(await redis.keys("*")):
            name = key.decode()
            part = name.partition(":deliver")[0].rpartition(":")[2]
            if ":deliver:" in name and await redis.type(key) == b"zset":
                rows = await redis.zrange(key, 0, -1, withscores=True)
                found[name] = sorted((row, at > now) for row, at in rows)
            elif part in ("paused", "rate_limit"):
                found[name] = sorted(await redis.hkeys(key))
            elif part == "lanes":
                rows = await redis.zrange(key, 0, -1, withscores=True)
                found[name] = sorted((row, at > now) for row, at in rows)
        return found


def compare(redis_url: str, lanes: dict[str, Before], *, limit: int, ordered: bool) -> list[str]:
    """Do both ways give the same; what was claimed."""

    async def both() -> list[Any]:
        found = []
        for apart in (True, False):
            store = Store(redis_url, lease=60.0)
            worker = Worker(store, lanes)
            try:
                await worker.prepare()
                found.append(
                    (await worker.commit(limit, ordered=ordered, apart=apart), await worker.left())
                )
            finally:
                await store.close()
        return found

    (apart, left_apart), (together, left_together) = asyncio.run(both())
    assert sorted(together) == sorted(apart)
    assert left_together == left_apart
    return together


@few_examples
@given(one=befores, limit=st.sampled_from([1, 2, 4, 100]), ordered=st.booleans())
def test_a_commit_claims_what_a_claim_after_it_would(
    redis_url: str,
    one: Before,
    limit: int,
    ordered: bool,  # noqa: FBT001 -- Hypothesis'
):
    compare(redis_url, {"sub_1": one}, limit=limit, ordered=ordered)


@few_examples
@given(one=with_retries, limit=st.sampled_from([10, 20]))
def test_retries_get_their_part_of_the_places(redis_url: str, one: Before, limit: int):
    claimed = compare(redis_url, {"sub_1": one}, limit=limit, ordered=False)
    assert len(claimed) == min(limit, one.due + one.retries + 1)


@few_examples
@given(seed=st.integers(0, 1000))
def test_two_lanes_share_the_room(redis_url: str, seed: int):
    rng = random.Random(seed)
    lanes = {lane: Before(due=rng.randint(1, 5)) for lane in LANES}
    claimed = compare(redis_url, lanes, limit=4, ordered=False)
    assert sorted(c.partition("-")[0] for c in claimed) == ["sub_1", "sub_1", "sub_2", "sub_2"]


@pytest.mark.parametrize(
    ("before", "claimed"),
    [
        (Before(), ["sub_1-new"]),
        (Before(paused=1), []),
        (Before(paused=-1), ["sub_1-new"]),
        (Before(held=2, capacity=2), []),
        (Before(due=1, capacity=1), ["sub_1-due0"]),
        (Before(fair=0), []),
        (Before(order=1), ["sub_1-first0"]),
        (Before(later=1), ["sub_1-new"]),
        (Before(due=1, budget=(1, 60.0)), ["sub_1-due0"]),
    ],
)
def test_a_commit_hands_over_nothing_that_may_not_start(
    redis_url: str, before: Before, claimed: list[str]
):
    found = compare(redis_url, {"sub_1": before}, limit=100, ordered=True)
    assert found == claimed


async def test_a_repeated_commit_hands_over_nothing(store: Store, keys: Keys):
    """A change with a record; its answer was lost, and somebody sends it again."""
    change = Change(
        JOB, "", save=True, events=[NewEvent("e", "job.completed", b"{}", (item("sub_1", "i"),))]
    )
    room = Room(100, 1 << 20, lambda _: WIDE)
    first = await store.jobs.commit_and_claim(keys, "0", [change], room)
    assert first is not None
    assert [claim.item for claim in first.claims] == ["i"]
    again = await store.jobs.commit_and_claim(keys, "0", [change], room)
    assert again is not None
    assert (again.outcomes, again.claims) == ([False], [])


async def test_what_is_left_is_nudged_for(store: Store, keys: Keys):
    """The worker has room for one of two; another worker is woken for the other."""
    change = whole("e", item("sub_1", "a"), item("sub_1", "b"))
    room = Room(1, 1 << 20, lambda _: WIDE)
    done = await store.jobs.commit_and_claim(keys, "0", [change], room)
    assert done is not None
    assert len(done.claims) == 1
    redis = store.connection.redis
    assert await redis.llen(keys.nudge["deliver"]) == 1
    assert len(await store.backlogs.claim(keys, "deliver", 9, lambda _: WIDE)) == 1


async def test_a_worker_gets_hardly_more_than_it_has_room_for(store: Store, keys: Keys):
    """However many lanes have something for it; what it leaves is there for the next claim."""
    lanes = [f"sub_{n:03}" for n in range(200)]
    change = whole("e", *(item(lane, lane) for lane in lanes))
    room = Room(3, 1 << 20, lambda _: WIDE)
    done = await store.jobs.commit_and_claim(keys, "0", [change], room)
    assert done is not None
    assert len(done.claims) == 3 + 64
    claimed = [claim.item for claim in done.claims]
    while more := await store.backlogs.claim(keys, "deliver", 2, lambda _: WIDE):
        assert len(more) <= 64
        claimed += [claim.item for claim in more]
    assert sorted(claimed) == lanes


async def test_nobody_is_nudged_for_what_was_handed_over(store: Store, keys: Keys):
    change = whole("e", item("sub_1", "a"))
    await store.jobs.commit_and_claim(keys, "0", [change], Room(1, 1 << 20, lambda _: WIDE))
    assert await store.connection.redis.exists(keys.nudge["deliver"]) == 0


async def test_a_lane_with_unknown_limits_is_left_to_others(store: Store, keys: Keys):
    change = whole("e", item("sub_1", "a"), item("sub_2", "b"))
    room = Room(9, 1 << 20, lambda lane: WIDE if lane == "sub_2" else None)
    done = await store.jobs.commit_and_claim(keys, "0", [change], room)
    assert done is not None
    assert [claim.item for claim in done.claims] == ["b"]
    assert await store.connection.redis.llen(keys.nudge["deliver"]) == 1


async def test_an_event_that_keeps_an_older_body_is_named(store: Store, keys: Keys):
    """A delivery of it waits: all of them carry the same bytes."""
    await store.jobs.commit(keys, "0", [whole("e", item("sub_1", "a", FAR))])
    other = NewEvent("e", "job.completed", b"other", (item("sub_2", "b"),))
    change = Change(JOB, "", save=False, events=[other])
    room = Room(9, 1 << 20, lambda _: WIDE)
    done = await store.jobs.commit_and_claim(keys, "0", [change], room)
    assert done is not None
    assert done.older_bodies == {"e"}
    _, (body,) = await store.subscriptions.read(keys, [], ["e"])
    assert body == b"{}"


async def test_every_delivery_keeps_its_body_however_short_the_log_is(store_of: Any):
    """20,000 wait in lanes that are paused or in order, or with a worker that dies; 1,000 are kept."""
    store = store_of(keep=Retention(events_count=1000, waiting=100_000))
    keys, limits = store.shards[0], LaneLimits(100_000)
    await store.backlogs.pause("deliver", "sub_paused", await store.now() + 3600)
    count, claimed = 0, 0
    for first in range(0, 5000, 200):
        items = [
            item(lane, f"{lane}-{n}", order=JobOrder("u", n + 1) if lane == "sub_ordered" else None)
            for n in range(first, first + 200)
            for lane in ("sub_paused", "sub_ordered", "sub_dies", "sub_later")
        ]
        changes = [
            Change(JOB, "", save=False, events=[NewEvent(f"evt_{i.item}", "t", i.payload, (i,))])
            for i in items
        ]
        room = Room(1000, 1 << 20, lambda lane: limits if lane == "sub_dies" else None)
        done = await store.jobs.commit_and_claim(keys, "0", changes, room)
        assert done is not None
        count, claimed = count + sum(o is True for o in done.outcomes), claimed + len(done.claims)
    assert (count, claimed) == (20_000, 5000)
    await store.events.trim(await store.now())
    assert await store.connection.redis.xlen(keys.log) <= 1100
    waiting = await store.connection.redis.hgetall(keys.items["deliver"])
    assert len(waiting) == 20_000
    for names in batched(sorted(waiting), 1000):
        events = [f"evt_{name.decode()}" for name in names]
        _, bodies = await store.subscriptions.read(keys, [], events)
        assert bodies == [waiting[name] for name in names]


def batched(rows: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Parts of so many."""
    return (rows[n : n + size] for n in range(0, len(rows), size))
