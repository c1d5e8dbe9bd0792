"""The budget of an account: shared by its sources, and obeyed before a 429; no poll is lost."""

import asyncio
from typing import Any

import pytest

from processor.errors import Overloaded
from processor.model import State
from processor.service.jobs.watch import poll_now
from processor.service.polling.mirror_poll import MirrorPolls
from processor.service.polling.run import run
from processor.service.runtime.outage import Outage
from processor.store.work_items import Claim
from workers import pumps

RUNNING = {"status": "running"}


class Lane:
    """Polls of some sources, claimed and made by hand."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench

    async def due(self, source: str, *jobs: str) -> None:
        """Watch jobs, and have them be due."""
        for job in jobs:
            await self.bench.watch(job, source)
            await poll_now(self.bench.context, source, job)

    async def claims(self) -> list[Claim]:
        """Claim what is due in all shards."""
        rows = [await self.bench.claim(keys, "poll") for keys in self.bench.store.shards]
        return [claim for row in rows for claim in row]

    async def poll(self, claims: list[Claim]) -> None:
        """Poll claims one after the other."""
        for claim in claims:
            await run(self.bench.context, claim)

    async def paused(self, source: str, shard: int = 0) -> float:
        """For how many seconds more a lane is paused."""
        keys = self.bench.store.shards[shard]
        until = await self.bench.store.connection.redis.hget(keys.paused["poll"], source)
        return int(until or 0) / 1000 - float(await self.bench.store.now())


@pytest.fixture
def lane(bench: Any, provider: Any) -> Lane:
    for job in "123456":
        provider.says(job, **RUNNING)
    return Lane(bench)


async def test_sources_with_one_token_share_a_budget(lane: Lane, provider: Any):
    """10 an hour: one may start at once."""
    for source, job in (("paced", "1"), ("paced-too", "2"), ("paced-alone", "3")):
        await lane.due(source, job)
    await lane.poll(await lane.claims())
    assert len(provider.asked) == 2
    assert "3" in provider.asked


async def test_what_may_not_be_sent_stays_first_and_counts_as_no_failure(lane: Lane, provider: Any):
    await lane.due("paced", "1", "2")
    first, claim = await lane.claims()
    await lane.poll([first, claim])
    job = claim.item.split("/")[1]
    assert provider.asked == [first.item.split("/")[1]] != [job]
    assert await lane.bench.due("poll", claim.item, "paced") == claim.due / 1000
    keys = lane.bench.store.shards[0]
    payload = await lane.bench.store.connection.redis.hget(keys.items["poll"], claim.item)
    assert payload == claim.payload == b"0"
    assert await lane.paused("paced") == pytest.approx(378, abs=3)  # 1.05 h / 10
    assert await lane.claims() == []
    assert (await lane.bench.job(job, "paced")).state is State.QUEUED


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"Retry-After": "60"}),
        (503, {"Retry-After": "60"}),
        (403, {"Retry-After": "60"}),
        (429, {"RateLimit": '"default";r=0;t=60'}),
        (200, {"RateLimit-Remaining": "0", "RateLimit-Reset": "60"}),
        (404, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}),
    ],
)
async def test_what_others_have_claimed_is_not_sent_once_the_account_is_to_wait(
    bench_of: Any, provider: Any, status: int, headers: dict[str, str]
):
    """Two shards, no token: the bucket is that of the source."""
    lane = Lane(await bench_of(shards=2))
    jobs = [f"job{n}" for n in range(12)]
    await lane.due("lab", *jobs)
    await lane.due("other", "1")
    claims = await lane.claims()
    for job in jobs:
        provider.says(job, status, **RUNNING, headers=headers)
    await lane.poll([c for c in claims if c.lane == "lab"])
    assert len(provider.asked) == 1
    for shard in (0, 1):
        assert await lane.paused("lab", shard) == pytest.approx(60, abs=3)
    await lane.poll([c for c in claims if c.lane == "other"])
    assert len(provider.asked) == 2


@pytest.mark.parametrize("source", ["brisk", "single"])
@pytest.mark.parametrize("status", [403, 429])
async def test_a_job_that_is_always_throttled_starves_no_other(
    lane: Lane, provider: Any, wait_until: Any, source: str, status: int
):
    """The provider may throttle this job only; `single` starts one request at a time."""
    provider.says("1", status, headers={"Retry-After": "1"})
    await lane.due(source, "1")
    throttled = await lane.claims()
    await lane.due(source, "2")
    await lane.poll(throttled)

    async def polled_again() -> bool:
        await lane.poll(await lane.claims())
        return len(provider.asked) > 1

    await wait_until(polled_again)
    assert provider.asked[:2] == ["1", "2"]


async def test_a_refused_token_parks_no_bucket(lane: Lane, provider: Any):
    """Another source may have the same account with more rights; the lane rests as before."""
    provider.says("1", 403)
    await lane.due("lab", "1")
    await lane.poll(await lane.claims())
    assert await lane.bench.store.connection.redis.keys("*bucket:*") == []
    assert await lane.paused("lab") == pytest.approx(60, abs=3)


async def test_the_mirror_takes_from_the_same_bucket(lane: Lane, provider: Any):
    settings, polls = lane.bench.context.settings, MirrorPolls(lane.bench.context)

    async def read(source: str, job: str) -> None:
        stored = await polls.stored(settings.sources[source], job)
        await polls.poll(settings.sources[source], stored, has_key=True)

    await read("paced", "1")
    with pytest.raises(Overloaded, match="rate limit"):
        await read("paced-too", "2")
    await read("paced-alone", "3")
    assert provider.asked == ["1", "3"]
    keys = lane.bench.store.shards[0]
    assert not await lane.bench.store.connection.redis.exists(keys.claimed("poll", "paced-too"))


async def test_who_asks_the_mirror_for_the_first_time_counts_as_waiting(lane: Lane):
    lab, polls = lane.bench.context.settings.sources["lab"], MirrorPolls(lane.bench.context)
    store = lane.bench.store
    for job, has_key in (("1", True), ("2", False)):
        await polls.poll(lab, await polls.stored(lab, job), has_key=has_key)
        name = f"lab/{job}"
        waited = await store.waiters.among(store.shard("lab", job), [("lab", name)])
        assert (name in waited) is has_key


async def test_many_due_jobs_cost_no_more_claims_than_the_budget_allows(
    lane: Lane, provider: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
):
    """20 polls a second, two workers, 150 jobs that are due."""
    context = lane.bench.context
    for job in range(150):
        provider.says(str(job), **RUNNING)
        await lane.bench.watch(str(job), "brisk")
    claimed, claim = list[str](), context.store.backlogs.claim

    async def counted(*given: Any, **more: Any) -> list[Claim]:
        found: list[Claim] = await claim(*given, **more)
        claimed.extend(one.item for one in found)
        return found

    monkeypatch.setattr(context.store.backlogs, "claim", counted)
    workers = [pumps.poll(context, Outage("test")) for _ in range(2)]

    async def enough() -> bool:
        await asyncio.gather(*(pump.run() for pump in workers))
        return len(provider.asked) >= 60

    await wait_until(enough, 60)
    for pump in workers:
        await pump.finish(5)
    assert len(set(provider.asked)) == len(provider.asked)  # first come, first served
    assert len(claimed) <= 2 * len(provider.asked)
