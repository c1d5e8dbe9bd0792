"""Jobs that somebody waits for: marked, bounded, and polled sooner."""

from typing import Any

import pytest

from processor.store import Store
from processor.store.change import Change
from processor.store.keys import Keys
from processor.store.planned_poll import encode_interval
from processor.store.waiters import WaitMark
from processor.store.work_items import WorkItem

FAR = 600.0  # seconds


def mark_of(keys: Keys, item: str, source: str = "a", **other: Any) -> WaitMark:
    """A mark that brings a poll forward as far as 5 s after the one before."""
    return WaitMark(keys, source, item, 60, **{"floor": 5.0, "not_before": 0.0, "most": 10} | other)


class Waits:
    """Polls of the source `a`, with times from now."""

    def __init__(self, store: Store, job_of: Any) -> None:
        self.store, self.keys, self._job = store, store.shards[0], job_of

    async def plan(self, item: str, within: float, ago: float | None = 0.0) -> None:
        """A poll in so many seconds that was planned so many seconds ago (None: asked for)."""
        now = await self.store.now()
        payload = encode_interval(None if ago is None else ago + within)
        change = Change(
            job=self._job("none"),
            version="",
            save=False,
            items=[WorkItem("poll", "a", item, now + within, payload)],
        )
        assert await self.store.jobs.commit(self.keys, "0", [change]) == [True]

    async def mark(self, *items: str, **other: Any) -> list[bool]:
        """Wait for jobs."""
        return await self.store.waiters.mark([mark_of(self.keys, item, **other) for item in items])

    async def within(self, item: str) -> float:
        """In how many seconds a job is polled."""
        at = await self.store.connection.redis.zscore(self.keys.due("poll", "a"), item)
        assert at is not None
        return float(at) / 1000 - await self.store.now()


@pytest.fixture
def waits(store: Store, job_of: Any) -> Waits:
    return Waits(store, job_of)


@pytest.mark.parametrize(
    ("ago", "not_before", "within"),
    [(1.0, 0.0, 4.0), (100.0, 0.0, 0.0), (1.0, 30.0, 30.0), (None, 0.0, FAR)],
    ids=[
        "the floor",
        "long ago",
        "the provider's wish",
        "asked for, or an entry of an older version",
    ],
)
async def test_the_next_poll_is_brought_forward_as_far_as_allowed(
    waits: Waits, ago: float | None, not_before: float, within: float
):
    await waits.plan("x", FAR, ago)
    wish = await waits.store.now() + not_before if not_before else 0.0
    assert await waits.mark("x", not_before=wish) == [True]
    assert await waits.within("x") == pytest.approx(within, abs=1)


async def test_a_poll_that_is_soon_stays_where_it_is(waits: Waits):
    await waits.plan("x", 2.0, 1.0)
    assert await waits.mark("x") == [True]
    assert await waits.within("x") == pytest.approx(2.0, abs=1)


async def test_where_polls_leave_late_it_goes_ahead_of_others(waits: Waits):
    await waits.plan("late", -50.0)
    await waits.plan("x", FAR, 2.0)
    assert await waits.mark("x") == [True]
    assert await waits.within("x") == pytest.approx(3.0 - 50.0, abs=1)


async def test_only_so_many_jobs_of_a_source_are_waited_for(waits: Waits):
    for item, marked in (("x", True), ("y", True), ("z", False), ("x", True)):
        await waits.plan(item, FAR, 100.0)
        assert await waits.mark(item, most=2) == [marked]
    assert await waits.within("z") == pytest.approx(FAR, abs=1)


async def test_marks_are_read_until_they_end(waits: Waits, keys: Keys):
    await waits.mark("x")
    await waits.store.connection.redis.zadd(keys.waited("a"), {"over": 1000})
    asked = [("a", "x"), ("a", "over"), ("a", "never"), ("b", "x2")]
    assert await waits.store.waiters.among(keys, asked) == {"x"}
    await waits.mark("y")  # which removes those that have ended
    assert await waits.store.connection.redis.zcard(keys.waited("a")) == 2


async def test_a_key_of_another_type_is_as_if_nobody_waited(waits: Waits, keys: Keys):
    await waits.store.waiters.mark([mark_of(keys, "b1", "b")])
    await waits.store.connection.redis.set(keys.waited("a"), "theirs")
    assert await waits.store.waiters.among(keys, [("a", "x"), ("b", "b1")]) == {"b1"}
    await waits.store.connection.redis.delete(keys.waited("a"))


async def test_a_poll_that_is_due_now_wakes_a_worker(waits: Waits, keys: Keys):
    await waits.plan("x", FAR, 100.0)
    await waits.mark("x")
    assert await waits.store.connection.redis.llen(keys.nudge["poll"]) == 1


async def test_jobs_of_several_sources_are_marked_at_once(waits: Waits, keys: Keys):
    """The key of one source has another type: it is as if nobody waited for its jobs."""
    await waits.store.connection.redis.set(keys.waited("c"), "theirs")
    asked = [("a", "x"), ("b", "y"), ("c", "z"), ("a", "over"), ("a", "x")]
    marks = [mark_of(keys, item, source, most=1) for source, item in asked]
    assert await waits.store.waiters.mark(marks) == [True, True, False, False, True]
    assert await waits.store.waiters.among(keys, asked[:2]) == {"x", "y"}
    await waits.store.connection.redis.delete(keys.waited("c"))
