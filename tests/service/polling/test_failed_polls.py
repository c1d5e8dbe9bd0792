"""Polls that fail are counted, shown, and told once a series as `job.poll_stalled`."""

import asyncio
import json
from typing import Any

import pytest

from processor import schedule
from processor.errors import StoreUnavailable
from processor.event_types import POLL_STALLED
from processor.model import FailedPolls, State
from processor.service.jobs import query
from processor.service.jobs.watch import poll_now, unwatch
from processor.service.polling.run import run
from processor.store import failing_jobs

FIVE = schedule.STALLED_AFTER


async def fail(bench: Any, times: int, job: str = "1", source: str = "lab") -> None:
    """Poll a job so often, whenever it is due."""
    for _ in range(times):
        await poll_now(bench.context, source, job)
        assert f"{source}/{job}" in await bench.poll()


async def stalled(bench: Any) -> list[str]:
    """The ids of the `job.poll_stalled` so far."""
    return [event for event, kind in await bench.events() if kind == POLL_STALLED]


async def shown(bench: Any, job: str = "1") -> Any:
    """The `poll` of a job as the API shows it."""
    view = await query.view(bench.context, await query.find(bench.context, "lab", job))
    return view["poll"]


async def test_a_job_shows_how_its_polls_fail_and_when_the_next_is(bench: Any, provider: Any):
    provider.says("1", 502, note="the provider's own words")
    await bench.watch("1")
    assert (await shown(bench)).failures == 0
    await fail(bench, 2)
    poll = await shown(bench)
    assert (poll.failures, poll.last_error[:9]) == (2, "HTTP 502:")
    assert "the provider's own words" in poll.last_error
    assert schedule.FAILURE_PAUSE < poll.interval <= 2 * schedule.FAILURE_PAUSE
    assert poll.next_at.timestamp() == await bench.due("poll", "lab/1")


@pytest.mark.parametrize("code", [401, 429])
async def test_a_job_of_a_paused_source_is_polled_when_the_pause_ends(
    bench: Any, provider: Any, code: int
):
    provider.says("1", code, headers={"Retry-After": "60"})
    await bench.watch("1")
    await fail(bench, 1)
    ahead = (await shown(bench)).next_at.timestamp() - await bench.store.now()
    assert ahead == pytest.approx(60, abs=3)


async def test_an_error_is_short_and_without_the_token(bench: Any, provider: Any):
    provider.says("1", 500, note="your token first is " + "bad " * 200)
    await bench.watch("1", "renewed")
    await fail(bench, 1, source="renewed")
    series = (await bench.job("1", "renewed")).failed_polls
    assert "first" not in series.error
    assert len(series.error) <= 200


async def failing(bench: Any, *sources: str) -> list[int]:
    """Of how many jobs of each source the last poll failed."""
    return [*(await bench.store.failing_jobs.counts(sources)).values()]


async def test_jobs_whose_polls_fail_are_counted_until_their_series_ends(
    bench_of: Any, provider: Any
):
    bench = await bench_of(shards=2)
    for job in "12345":
        provider.says(job, 502)
        await bench.watch(job)
        await fail(bench, 1, job)
    await fail(bench, 1, "1")
    assert await failing(bench, "other", "lab") == [0, 5]
    provider.says("1", status="running")
    await fail(bench, 1, "1")
    await bench.push(id="2", status="succeeded")
    await unwatch(bench.context, "lab", "3")
    assert await failing(bench, "lab", "other") == [2, 0]


async def test_a_mark_that_nothing_removes_ends_by_itself(bench: Any, wait_until: Any):
    keys, now = bench.store.shards[0], await bench.store.now()
    marks = {("lab", "lab/1"): now - failing_jobs.GRACE + 0.05, ("lab", "lab/2"): now}
    await bench.store.failing_jobs.note(keys, marks)

    async def one_is_left() -> bool:
        return await failing(bench, "lab") == [1]

    await wait_until(one_is_left)
    redis = bench.store.connection.redis
    assert 3_000_000 < await redis.pttl(keys.failing("lab")) <= 3_600_001


async def test_a_job_that_is_not_polled_shows_no_poll(bench: Any, provider: Any):
    await bench.watch("1", poll=False)
    assert await shown(bench) is None
    await bench.watch("2")
    await bench.push(id="2", status="succeeded")
    assert await shown(bench, "2") is None


async def test_a_payload_of_an_older_version_is_readable(bench: Any):
    await bench.watch("1")
    keys = bench.store.shard("lab", "1")
    await bench.store.connection.redis.hset(keys.items["poll"], "lab/1", b"3")
    poll = await shown(bench)
    assert (poll.failures, poll.interval) == (0, None)
    assert poll.next_at


async def test_five_failures_in_a_row_publish_one_event(bench: Any, provider: Any, desk: Any):
    await desk.subscribe(events=[POLL_STALLED])
    provider.says("1", 502)
    await bench.watch("1", metadata={"order": 42})
    await fail(bench, FIVE - 1)
    assert await stalled(bench) == []
    await fail(bench, 4)
    job = await bench.job("1")
    assert await stalled(bench) == [f"evt_{job.uid}_1_stalled_1"]
    await desk.deliver()
    (event,) = desk.subscriber.bodies
    assert (event["type"], event["data"]["metadata"]) == (POLL_STALLED, {"order": 42})
    assert event["data"]["poll"]["failures"] == FIVE
    assert event["data"]["poll"]["last_error"].startswith("HTTP 502")
    assert (job.sequence, event["data"]["sequence"], job.state) == (0, 0, State.QUEUED)


async def test_ten_minutes_of_failures_are_enough(bench: Any, provider: Any):
    provider.says("1", 502)
    await bench.watch("1")
    await fail(bench, 1)
    job = await bench.job("1")
    old = FailedPolls(1, job.failed_polls.since - schedule.STALLED_SECONDS, "HTTP 502")
    await rewrite(bench, job, old)
    await fail(bench, 1)
    assert len(await stalled(bench)) == 1


async def rewrite(bench: Any, job: Any, series: FailedPolls) -> None:
    """Give a job another series of failed polls."""
    key = bench.store.shard("lab", job.id).job(f"lab/{job.id}")
    word, _, record = (await bench.store.connection.redis.get(key)).partition(b" ")
    changed = json.loads(record) | {
        "failed_polls": {"count": series.count, "since": series.since, "error": series.error}
    }
    await bench.store.connection.redis.set(key, word + b" " + json.dumps(changed).encode())


async def test_each_series_has_an_event_of_its_own(bench: Any, provider: Any):
    await bench.watch("1")
    for _ in range(2):
        provider.says("1", 502)
        await fail(bench, FIVE)
        provider.says("1", status="running")
        await fail(bench, 1)
        assert (await bench.job("1")).failed_polls is None
    uid = (await bench.job("1")).uid
    assert await stalled(bench) == [f"evt_{uid}_1_stalled_1", f"evt_{uid}_1_stalled_2"]


async def test_a_push_does_not_end_a_series_but_the_end_of_the_job_does(bench: Any, provider: Any):
    provider.says("1", 502)
    await bench.watch("1")
    await fail(bench, 3)
    await bench.push(id="1", status="running")
    assert (await bench.job("1")).failed_polls.count == 3
    await bench.push(id="1", status="succeeded")
    assert (await bench.job("1")).failed_polls is None


async def test_the_accounts_trouble_is_not_the_jobs(bench: Any, provider: Any):
    """A refused token is shown with the source, and no job is stalled by it."""
    await bench.watch("1")
    provider.says("1", 401)
    for _ in range(FIVE + 1):
        await poll_now(bench.context, "lab", "1")
        await bench.store.connection.redis.delete(bench.store.shards[0].paused["poll"])
        assert await bench.poll() == ["lab/1"]
    assert await stalled(bench) == []
    assert (await shown(bench)).failures == 0
    assert await bench.reasons("1") == []
    assert (await bench.store.poll_errors.read(await bench.store.now()))["lab"].job == "1"


async def test_failed_polls_are_one_line_of_the_history(bench: Any, provider: Any):
    await bench.watch("1")
    for number in range(FIVE - 1):
        provider.says("1", 502, note=f"request {number}")
        await fail(bench, 1)
    (line,) = await query.history(bench.context, "lab", "1")
    assert (line["origin"], line["status"], line["ignored"]) == ("poll", "HTTP 502", "poll_failed")
    assert line["count"] == FIVE - 1


async def test_it_is_not_a_completion_and_waits_for_no_turn(bench: Any, provider: Any, desk: Any):
    """An ordered subscriber gets it at once, though an earlier delivery of the job is failing."""
    await desk.subscribe()
    await desk.subscribe(events=["job.started", POLL_STALLED], ordered=True)
    desk.subscriber.status = 500
    await bench.push(id="1", status="running")
    await desk.round()
    desk.subscriber.status = 200
    provider.says("1", 502)
    await fail(bench, FIVE)
    await desk.round()
    assert [body["type"] for body in desk.subscriber.bodies] == ["job.started", POLL_STALLED]


async def test_a_replay_sends_it_under_its_id(bench: Any, provider: Any, desk: Any):
    provider.says("1", 502)
    await bench.watch("1")
    await fail(bench, FIVE)
    target = await desk.subscribe(events=[POLL_STALLED], ordered=True)
    await desk.replay(target)
    await desk.deliver()
    assert desk.subscriber.got == await stalled(bench)


# --- trouble ------------------------------------------------------------------------------------


async def test_a_worker_that_is_killed_before_its_commit_loses_no_event(bench: Any, provider: Any):
    provider.says("1", 502)
    await bench.watch("1")
    await fail(bench, FIVE - 1)
    await poll_now(bench.context, "lab", "1")
    keys = bench.store.shard("lab", "1")
    (claim,) = await bench.claim(keys, "poll")  # and its worker is gone
    await bench.store.connection.redis.zadd(keys.claimed("poll", "lab"), {claim.item: 1})
    await bench.store.connection.redis.zadd(keys.lanes["poll"], {"lab": 1})
    assert await bench.poll() == ["lab/1"]
    assert len(await stalled(bench)) == 1


async def test_a_lost_answer_of_the_commit_makes_no_second_event(
    bench: Any, provider: Any, monkeypatch: pytest.MonkeyPatch
):
    provider.says("1", 502)
    await bench.watch("1")
    await fail(bench, FIVE - 1)
    await poll_now(bench.context, "lab", "1")
    call = bench.store.connection.run

    async def lost(script: str, *given: Any, **more: Any) -> Any:
        answer = await call(script, *given, **more)
        if script == "commit":
            raise StoreUnavailable("the answer is lost")
        return answer

    (claim,) = await bench.claim(bench.store.shard("lab", "1"), "poll")
    with monkeypatch.context() as patch:
        patch.setattr(bench.store.connection, "run", lost)
        with pytest.raises(StoreUnavailable):
            await run(bench.context, claim)
    await run(bench.context, claim)  # the same work again
    await fail(bench, 2)
    assert len(await stalled(bench)) == 1


async def test_two_workers_with_the_same_claim_publish_one_event(bench: Any, provider: Any):
    provider.says("1", 502)
    await bench.watch("1")
    await fail(bench, FIVE - 1)
    await poll_now(bench.context, "lab", "1")
    (claim,) = await bench.claim(bench.store.shard("lab", "1"), "poll")
    await asyncio.gather(*(run(bench.context, claim) for _ in range(4)))
    assert len(await stalled(bench)) == 1
