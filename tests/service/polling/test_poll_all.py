"""All unfinished jobs are polled again, soon: by hand, and once after trouble."""

from typing import Any

import pytest

from processor.errors import Conflict, NotFound
from processor.model import State
from processor.schedule import POLL_JITTER
from processor.service.jobs.watch_request import PollSettings
from processor.service.polling import poll_all
from processor.service.polling.after_trouble import AfterTrouble
from processor.service.polling.poll_all import PollAllRequest

SLOW = PollSettings("1h")


async def watch(bench: Any, *jobs: str, source: str = "lab", **request: Any) -> None:
    """Watch jobs whose next poll is far away, an hour after a poll some time ago."""
    for job in jobs:
        await bench.watch(job, source, **request)
    keys, redis = bench.store.shards[0], bench.store.connection.redis
    later = int((await bench.store.now() + 1000) * 1000)
    for job in jobs:
        await redis.zadd(keys.due("poll", source), {f"{source}/{job}": later}, xx=True)
        await redis.hset(keys.items["poll"], f"{source}/{job}", b"3600.000")


async def wait(bench: Any, job: str, source: str = "lab") -> float:
    """Seconds until a job's next poll."""
    at = await bench.due("poll", f"{source}/{job}", source)
    return float(at - await bench.store.now())


async def ask(bench: Any, source: str | None = None, state: State | None = None) -> int:
    return await poll_all.poll_all(bench.context, PollAllRequest(source, state))


async def test_every_unfinished_job_is_polled_soon(bench: Any):
    await watch(bench, "1", "2", "3")
    await bench.push(id="3", status="succeeded")
    assert await ask(bench) == 2
    for job in ("1", "2"):
        assert await wait(bench, job) < 1


async def test_a_source_and_a_state_can_be_named(bench: Any):
    await watch(bench, "1", "2")
    await watch(bench, "3", source="other")
    await bench.push(id="2", status="running")
    await watch(bench, "2")
    assert await ask(bench, "lab", State.RUNNING) == 1
    assert [await wait(bench, job) > 100 for job in ("1", "2")] == [True, False]
    assert await wait(bench, "3", "other") > 100


async def test_a_source_that_cannot_be_polled_says_so(bench: Any):
    with pytest.raises(Conflict, match="mute cannot be polled"):
        await ask(bench, "mute")
    with pytest.raises(NotFound):
        await ask(bench, "nowhere")


async def test_a_job_that_is_not_polled_is_left_alone(bench: Any):
    await bench.watch("1", poll=False)
    assert await ask(bench) == 0
    assert await bench.due("poll", "lab/1") is None


async def test_a_job_that_is_due_sooner_keeps_its_time(bench: Any):
    await watch(bench, "1")
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    await redis.zadd(keys.due("poll", "lab"), {"lab/1": 1})
    assert await ask(bench) == 1
    assert await bench.due("poll", "lab/1") == 0.001


async def test_the_shortest_interval_since_the_last_poll_holds(bench: Any):
    await watch(bench, "1", "2", source="rare")
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    await redis.hset(keys.items["poll"], "rare/1", b"1000.000")  # it was polled a moment ago
    last = await bench.due("poll", "rare/1", "rare") - 1000
    await ask(bench)
    least = 600 * (1 - POLL_JITTER)
    assert await bench.due("poll", "rare/1", "rare") - last == pytest.approx(least, abs=0.01)
    assert await wait(bench, "2", "rare") < 1


async def test_an_interval_of_the_jobs_own_does_not_hold_it_up(bench: Any):
    await watch(bench, "1", poll=SLOW)
    await ask(bench)
    assert await wait(bench, "1") < 1


async def test_the_providers_own_time_holds(bench: Any, provider: Any, polled: Any):
    provider.says("1", status="running", headers={"Retry-After": "600"})
    await bench.watch("1")
    await polled(bench)
    await watch(bench, "1")
    await ask(bench)
    assert await wait(bench, "1") > 500


async def test_many_are_spread_and_read_in_pages(bench: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(poll_all, "PAGE", 10)
    jobs = [str(number) for number in range(300)]  # more than a listpack has
    await watch(bench, *jobs)
    assert await ask(bench) == len(jobs)
    times = sorted([await bench.due("poll", f"lab/{job}") for job in jobs])
    second = int(poll_all.RATE)
    assert all(late - early > 0.99 for early, late in zip(times, times[second:], strict=False))


async def test_doing_it_twice_changes_nothing_more(bench: Any):
    await watch(bench, "1", "2")
    await ask(bench)
    times = [await bench.due("poll", f"lab/{job}") for job in ("1", "2")]
    await ask(bench)
    assert [await bench.due("poll", f"lab/{job}") for job in ("1", "2")] == times


async def test_polls_of_cancel_calls_and_walks_are_no_jobs(bench: Any):
    await poll_all.enqueue_all(bench.context, "x")
    assert await ask(bench) == 0


# --- after trouble ------------------------------------------------------------------------------


async def walks(bench: Any) -> list[str]:
    """Make the walks that are enqueued; their items."""
    return [item for item in await bench.poll() if item.startswith(poll_all.ALL)]


async def test_after_a_start_all_jobs_are_polled_once_however_many_clocks_there_are(
    bench: Any, bench_of: Any
):
    await watch(bench, "1")
    await bench.store.fleet.check_replaced("clock-1")
    clocks = [AfterTrouble(bench.context) for _ in range(3)]
    for clock in clocks:
        await clock.check()
    sources = sum(source.pollable for source in bench.context.settings.sources.values())
    assert len(await walks(bench)) == sources
    assert await wait(bench, "1") < 1
    for clock in clocks:
        await clock.check()
    assert await walks(bench) == []


async def test_nothing_is_enqueued_before_redis_was_seen(bench: Any):
    await AfterTrouble(bench.context).check()
    assert await walks(bench) == []


async def test_without_a_source_that_can_be_polled_there_is_nothing_to_do(bench: Any):
    bench.context.settings.sources.clear()
    await poll_all.enqueue_all(bench.context, "x")
    assert (await bench.store.backlogs.depth("poll"))[0] == 0


async def test_other_data_is_trouble(bench: Any):
    await bench.store.fleet.check_replaced("clock-1")
    clock = AfterTrouble(bench.context)
    await clock.check()
    await walks(bench)
    await watch(bench, "1")
    bench.store.forget()  # as a process does whose Redis was replaced
    await clock.check()
    assert await walks(bench) != []
    assert await wait(bench, "1") < 1


async def test_a_killed_worker_does_not_lose_the_walk(bench: Any):
    await watch(bench, "1")
    await poll_all.enqueue_all(bench.context, "x")
    keys, redis = bench.store.shards[0], bench.store.connection.redis
    claims = await bench.claim(keys, "poll")  # and its worker is gone
    assert await bench.poll() == []
    for claim in claims:
        await redis.zadd(keys.claimed("poll", claim.lane), {claim.item: 1})
        await redis.zadd(keys.lanes["poll"], {claim.lane: 1})
    assert await walks(bench) != []
    assert await wait(bench, "1") < 1
