"""Jobs that somebody waits for are polled sooner, but no job starves."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from processor import schedule
from processor.service.jobs.poll_sooner import poll_sooner
from processor.service.jobs.watch import poll_now
from processor.service.jobs.watch_request import PollSettings
from processor.service.polling.run import run
from processor.store.planned_poll import encode_interval


class Waiter:
    """Somebody who waits for jobs."""

    def __init__(self, bench: Any) -> None:
        self.bench, self.store = bench, bench.store

    async def wait(self, job: str, source: str = "lab") -> None:
        """Begin to wait for a job for a minute."""
        found = await self.bench.job(job, source)
        keys = self.store.shard(source, job)
        await poll_sooner(self.bench.context, [(keys, found)], 60)

    async def asked(self, job: str, source: str = "lab") -> bool:
        """Whether a job is marked."""
        keys, name = self.store.shard(source, job), f"{source}/{job}"
        return name in await self.store.waiters.among(keys, [(source, name)])

    async def within(self, job: str, source: str = "lab") -> float:
        """In how many seconds a job is polled."""
        at = await self.bench.due("poll", f"{source}/{job}", source)
        return float(at - await self.store.now())


@pytest.fixture
def waiter(bench: Any, provider: Any) -> Waiter:
    for job in range(30):
        provider.says(str(job), status="running")
    return Waiter(bench)


async def age(bench: Any, job: str, source: str, seconds: float) -> None:
    """Have the next poll be far away, as that of an old job, and the last one long ago."""
    keys, name = bench.store.shard(source, job), f"{source}/{job}"
    now = await bench.store.now()
    await bench.store.connection.redis.zadd(keys.due("poll", source), {name: (now + 900) * 1000})
    payload = encode_interval(seconds + 900)
    await bench.store.connection.redis.hset(keys.items["poll"], name, payload)


async def test_a_job_that_is_waited_for_is_polled_at_once_and_often(
    waiter: Waiter, bench: Any, polled: Any
):
    await bench.watch("1")
    await age(bench, "1", "lab", 300)
    await waiter.wait("1")
    assert await polled(bench) == ["lab/1"]
    assert await waiter.within("1") < 0.05  # the profile's first interval
    assert await waiter.asked("1")


async def test_the_providers_wish_and_the_users_interval_stay(waiter: Waiter, bench: Any):
    await bench.watch("1", poll=PollSettings("1h"))
    await waiter.wait("1")
    assert await waiter.within("1") > 3000


async def test_a_job_that_is_not_polled_is_not_marked(waiter: Waiter, bench: Any):
    await bench.watch("1", poll=False)
    await bench.push("deaf", id="1", status="succeeded")
    for source, job in (("lab", "1"), ("deaf", "1")):
        await waiter.wait(job, source)
        assert not await waiter.asked(job, source)


async def test_a_poll_that_went_ahead_of_others_is_not_sent_too_early(
    waiter: Waiter, bench: Any, provider: Any
):
    """It was put ahead of a lane that was late; then the lane caught up."""
    provider.says("1", status="running", headers={"Retry-After": "30"})
    await bench.watch("1")
    await poll_now(bench.context, "lab", "1")
    await bench.poll()
    await bench.make_due("poll", "lab/1")
    assert await bench.poll() == ["lab/1"]
    assert len(provider.asked) == 1
    assert await waiter.within("1") == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    ("budget", "floor", "shards", "expected"),
    [
        (None, 2.0, 1, (2.0, schedule.MAX_WAITED)),
        ((600, 60.0), 2.0, 1, (2.0, 10)),
        ((600, 60.0), 2.0, 4, (2.0, 2)),
        ((2000, 10.0), 2.0, 1, (2.0, schedule.MAX_AHEAD)),
        ((2000, 10.0), 2.0, 4, (2.0, schedule.MAX_AHEAD // 4)),
        ((2000, 10.0), 2.0, 100, (2.0, 1)),
        ((10, 3600.0), 2.0, 1, (720.0, 1)),
    ],
)
def test_jobs_that_are_waited_for_take_half_of_the_budget_at_most(
    budget: Any, floor: float, shards: int, expected: tuple[float, int]
):
    found, most = schedule.waited_polls(budget, floor, shards)
    assert (found, most) == expected
    if budget:
        assert shards * most / found <= budget[0] / budget[1] / 2


async def test_no_job_starves_while_another_is_waited_for(
    waiter: Waiter, bench: Any, provider: Any, wait_until: Any
):
    """20 polls a second for 21 jobs that want 20 each: whoever waits gets half of them at most."""
    for job in range(21):
        await bench.watch(str(job), "brisk")
    await waiter.wait("20", "brisk")
    keys = bench.store.shards[0]

    async def enough() -> bool:
        claims = sorted(await bench.claim(keys, "poll"), key=lambda claim: claim.due)
        await asyncio.gather(*(run(bench.context, claim) for claim in claims))
        return len(provider.asked) >= 90

    await wait_until(enough, 60)
    count = Counter(provider.asked)
    waited = count.pop("20")
    assert len(count) == 20
    assert min(count.values()) >= 1
    assert waited > 2 * max(count.values())
    assert waited <= 0.6 * len(provider.asked)


async def test_only_a_first_poll_may_come_before_the_shortest_interval_is_over(
    bench: Any, provider: Any, polled: Any
):
    """A profile's `after` may be shorter than its `every`: nothing was polled before."""
    provider.says("1", status="running")
    await bench.watch("1", "rare")
    keys, redis = bench.store.shards[0], bench.store.connection.redis
    for _ in range(2):
        await redis.hset(keys.items["poll"], "rare/1", encode_interval(0.0))  # planned right now
        await bench.make_due("poll", "rare/1", "rare")
        assert await polled(bench) == ["rare/1"]
    assert provider.asked == ["1"]
    assert await bench.due("poll", "rare/1", "rare") - await bench.store.now() > 500
