"""Polling: what an answer changes, and what a failure postpones."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace
from structlog.testing import capture_logs

from processor import schedule
from processor.model import State
from processor.service.jobs.poll_sooner import poll_sooner
from processor.service.jobs.watch import poll_now
from processor.service.jobs.watch_request import PollSettings, Submitted
from processor.service.polling import poll
from processor.service.polling.run import run
from processor.store.change import Change
from processor.store.keys import STALLED
from processor.store.work_items import NOW, WorkItem

SLOW = PollSettings("1h")


async def ask_all(bench: Any, polled: Any, *jobs: str, source: str = "lab") -> None:
    """Watch jobs, and poll each once."""
    for job in jobs:
        await bench.watch(job, source)
    while jobs := tuple(set(jobs) - {name.split("/")[1] for name in await polled(bench)}):
        pass


async def test_an_answer_moves_the_job_and_the_next_poll_is_planned(
    bench: Any, provider: Any, polled: Any
):
    provider.says("1", status="running", progress=0.5)
    await ask_all(bench, polled, "1")
    job = await bench.job("1")
    assert (job.state, job.progress, job.seen) == (State.RUNNING, 0.5, True)
    assert await bench.due("poll", "lab/1") is not None
    keys = bench.store.shard("lab", "1")
    assert b'"progress": 0.5' in (await bench.store.jobs.answer(keys, "lab/1"))


async def test_a_damaged_value_in_an_answer_does_not_hide_the_final_state(
    bench: Any, provider: Any, polled: Any
):
    provider.raw("1", '{"status": "succeeded", "id": "1", "text": "cut \\ud83d", "score": NaN}')
    await ask_all(bench, polled, "1")
    assert (await bench.job("1")).state is State.SUCCEEDED


async def test_only_an_update_that_counts_postpones_the_next_poll(bench: Any):
    """If it did, a provider that repeats a push would prevent all polls."""
    await bench.watch("1", poll=SLOW)
    for outcome, counts in (
        ({"status": "running", "event": "a"}, True),
        ({"status": "running", "event": "b"}, False),  # a duplicate
        ({"status": "queued", "event": "c"}, False),  # an earlier state
        ({"status": "mystery", "event": "d"}, True),
    ):
        await bench.make_due("poll", "lab/1")
        await bench.push(id="1", **outcome)
        wait = await bench.due("poll", "lab/1") - await bench.store.now()
        assert (wait > 3000) is counts, outcome


async def test_an_answer_that_changes_nothing_plans_the_next_poll_too(
    bench: Any, provider: Any, polled: Any
):
    provider.says("1", status="running")
    await bench.watch("1", poll=SLOW)
    for _ in range(2):
        await polling_now(bench, "1")
        assert await bench.poll() == ["lab/1"]
        assert await bench.due("poll", "lab/1") - await bench.store.now() > 3000
    assert await bench.reasons("1") == [None, "duplicate"]


async def test_a_worker_that_cannot_poll_a_source_leaves_its_polls_to_others(
    bench: Any, bench_of: Any, provider: Any, polled: Any
):
    """Such as one with the file of before a reload, which has no token yet."""
    provider.says("1", status="running")
    await bench.watch("1", "renewed")
    other = await bench_of()
    sources = other.context.settings.sources
    source = sources["renewed"]
    account = source.account._replace(token=None)
    sources["renewed"] = replace(source, token=None, account=account)
    since = await bench.store.now()
    assert await polled(other) == ["renewed/1"]
    assert provider.asked == []
    due = await bench.due("poll", "renewed/1", "renewed")
    assert due >= since + schedule.UNKNOWN_PAUSE - 0.001
    await bench.make_due("poll", "renewed/1", "renewed")
    assert await polled(bench) == ["renewed/1"]
    assert (await bench.job("1", "renewed")).state is State.RUNNING


async def test_a_final_answer_ends_polling(bench: Any, provider: Any, polled: Any):
    provider.says("1", status="succeeded")
    await ask_all(bench, polled, "1")
    assert (await bench.job("1")).state is State.SUCCEEDED
    assert (await bench.store.backlogs.depth("poll"))[0] == 0
    assert (await bench.store.backlogs.depth("ingest"))[0] == 0


async def test_a_push_that_ends_the_job_ends_polling(bench: Any, provider: Any):
    await bench.watch("1", poll=SLOW)
    await bench.push(id="1", status="failed")
    assert (await bench.store.backlogs.depth("poll"))[0] == 0


async def test_a_job_that_ends_during_a_poll_stays_ended(
    bench: Any, provider: Any, wait_until: Any
):
    answer = asyncio.Event()
    provider.hold("1", answer, status="running")
    await bench.watch("1", poll=SLOW)
    await polling_now(bench, "1")
    asking = asyncio.create_task(bench.poll())
    await wait_until(lambda: provider.asked)
    await bench.push(id="1", status="succeeded")
    answer.set()
    await asking
    job = await bench.job("1")
    assert (job.state, job.sequence) == (State.SUCCEEDED, 1)
    assert await bench.reasons("1") == [None, "finished"]
    assert (await bench.store.backlogs.depth("poll"))[0] == 0


async def test_a_failed_poll_of_a_job_that_ended_during_it_does_not_poll_again(
    bench: Any, provider: Any, wait_until: Any
):
    answer = asyncio.Event()
    provider.hold("1", answer, odd=True)
    await bench.watch("1", poll=SLOW)
    await polling_now(bench, "1")
    asking = asyncio.create_task(bench.poll())
    await wait_until(lambda: provider.asked)
    await bench.push(id="1", status="succeeded")
    answer.set()
    await asking
    assert (await bench.store.backlogs.depth("poll"))[0] == 0


async def polling_now(bench: Any, job: str) -> None:
    await poll_now(bench.context, "lab", job)


async def began(bench: Any, until: float, seconds: float, since: float) -> bool:
    """Whether a pause of so many seconds began after `since`, and before now (to the millisecond)."""
    return since - 0.001 <= until - seconds <= await bench.store.now() + 0.001


async def grow_older(bench: Any, name: str, seconds: float) -> None:
    """Have a job of `lab` be known for so much longer."""
    keys = bench.store.shard("lab", name)
    lookup = await bench.store.jobs.find(keys, f"lab/{name}")
    older = replace(lookup.job, created_at=lookup.job.created_at - seconds)
    change = Change(older, lookup.version, save=True)
    assert await bench.store.jobs.commit(keys, "0", [change]) == [True]


# --- failures of the account ----------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 403])
async def test_a_refusal_for_a_time_pauses_its_source_so_long_and_no_other_source(
    bench: Any, provider: Any, polled: Any, status: int
):
    """A 403 with a time is a rate limit too, as GitHub's secondary one; its token is good."""
    provider.says("1", status, headers={"Retry-After": "240"})
    since = await bench.store.now()
    await ask_all(bench, polled, "1")
    for source in ("lab", "other"):
        await bench.watch("2", source, poll=SLOW)
        await poll_now(bench.context, source, "2")
    provider.says("2", status="running")
    assert await polled(bench) == ["other/2"]
    assert await bench.poll() == []
    assert (await bench.job("1")).state is State.QUEUED
    keys = bench.store.shards[0]
    until = int(await bench.store.connection.redis.hget(keys.paused["poll"], "lab")) / 1000
    assert await began(bench, until, 240, since)
    assert await bench.store.stalled_sources.read() == {}


async def test_a_429_without_retry_after_pauses_its_source_for_30_s(
    bench: Any, provider: Any, polled: Any
):
    provider.says("1", 429)
    since = await bench.store.now()
    await ask_all(bench, polled, "1")
    keys = bench.store.shards[0]
    until = int(await bench.store.connection.redis.hget(keys.paused["poll"], "lab")) / 1000
    assert await began(bench, until, schedule.THROTTLED_PAUSE, since)


async def test_after_the_pause_the_source_is_polled_again(bench: Any, provider: Any, polled: Any):
    provider.says("1", 429, headers={"Retry-After": "0"})  # the pause is at least a second
    await ask_all(bench, polled, "1")
    provider.says("1", status="succeeded")
    assert await polled(bench) == ["lab/1"]
    assert (await bench.job("1")).state is State.SUCCEEDED


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_stalls_the_source_and_fails_no_job(
    bench: Any, provider: Any, polled: Any, status: int
):
    provider.says("1", status)
    await ask_all(bench, polled, "1")
    await bench.watch("2")
    assert await bench.poll() == []
    assert f"HTTP {status}" in (await bench.store.stalled_sources.read())["lab"]
    job = await bench.job("1")
    assert (job.state, job.sequence) == (State.QUEUED, 0)


async def poll_as_worker(bench: Any, source: str) -> None:
    """Poll what a worker may claim by the source's limits, until nothing is due."""
    limits = poll.lane_limits(bench.context)
    while claims := await bench.store.backlogs.claim(
        bench.store.shards[0], "poll", 64, lambda lane: limits(lane) if lane == source else None
    ):
        for claim in claims:
            await run(bench.context, claim)


@pytest.mark.parametrize(("shards", "held"), [(1, 64), (4, 64), (100, 100)])
async def test_all_shards_together_hold_as_many_polls_of_a_source_as_one(
    bench_of: Any, shards: int, held: int
):
    """Each at least one."""
    store = (bench := await bench_of(shards=shards)).store
    limits, claims = poll.lane_limits(bench.context), []
    for keys in store.shards:
        items = [WorkItem("poll", "lab", f"lab/{n}", NOW, b"0") for n in range(held + 1)]
        await store.backlogs.enqueue_new(keys, items)
        claims += await store.backlogs.claim(keys, "poll", 1000, limits)
    assert len(claims) == held


@pytest.mark.parametrize(
    ("status", "headers"),
    [(403, {}), (403, {"Retry-After": "60"}), (429, {"Retry-After": "60"}), (429, {})],
)
async def test_a_job_whose_polls_are_always_refused_goes_behind_the_others(
    bench: Any, provider: Any, status: int, headers: dict[str, str]
):
    """With a burst of one request, each pause would else end with the same poll."""
    refused, *others = [f"job{n}" for n in range(10)]
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    for at, job in enumerate([refused, *others], 1):
        provider.says(job, status="running")
        await bench.watch(job, "single", poll=SLOW)
        await redis.zadd(keys.due("poll", "single"), {f"single/{job}": at})
    provider.says(refused, status, headers=headers)
    for _ in [refused, *others]:
        await redis.zadd(keys.lanes["poll"], {"single": 1})
        await poll_as_worker(bench, "single")
        minute = int(schedule.UNAUTHORIZED_PAUSE * 1000)  # it passes: everything is due earlier
        for item, at in await redis.zrange(keys.due("poll", "single"), 0, -1, withscores=True):
            await redis.zadd(keys.due("poll", "single"), {item: at - minute})
        for key in await redis.keys("*bucket:*") + await redis.keys("*rate_limit:*"):
            await redis.delete(key)
        await redis.hdel(keys.paused["poll"], "single")
    assert provider.asked == [refused, *others]


async def test_a_refused_poll_is_made_again_within_two_pauses(
    bench: Any, provider: Any, polled: Any
):
    """Also of a job with a longer interval: the token may have been corrected."""
    provider.says("1", 403)
    await bench.watch("1", poll=SLOW)
    await polling_now(bench, "1")
    since = await bench.store.now()
    await polled(bench)
    due = await bench.due("poll", "lab/1")
    assert await began(bench, due, 2 * schedule.UNAUTHORIZED_PAUSE, since)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "60"}])
async def test_somebody_who_waits_does_not_bring_a_refused_poll_ahead_of_the_others(
    bench: Any, provider: Any, polled: Any, headers: dict[str, str]
):
    provider.says("1", 403, headers=headers)
    await ask_all(bench, polled, "1")
    due = await bench.due("poll", "lab/1")
    job = await bench.job("1")
    await poll_sooner(bench.context, [(bench.store.shard("lab", "1"), job)], 60.0)
    assert await bench.due("poll", "lab/1") == due


async def test_a_good_answer_ends_the_stall(bench: Any, provider: Any, polled: Any):
    await bench.store.stalled_sources.note("lab", "HTTP 401")
    await bench.store.stalled_sources.note("other", "HTTP 401")
    provider.says("1", status="running")
    await ask_all(bench, polled, "1")
    assert list(await bench.store.stalled_sources.read()) == ["other"]


async def test_most_good_answers_do_not_read_which_sources_are_stalled(
    bench: Any, provider: Any, polled: Any, monkeypatch: pytest.MonkeyPatch
):
    reads, read = [], bench.store.stalled_sources.read

    async def counted() -> dict[str, str]:
        reads.append(1)
        found: dict[str, str] = await read()
        return found

    monkeypatch.setattr(bench.store.stalled_sources, "read", counted)
    for job in ("1", "2", "3"):
        provider.says(job, status="running")
    await ask_all(bench, polled, "1", "2", "3")
    assert len(reads) == 1


async def test_a_stall_that_another_worker_noted_ends_once_the_list_is_old(
    bench: Any, provider: Any, polled: Any, monkeypatch: pytest.MonkeyPatch
):
    assert await bench.store.stalled_sources.read() == {}
    await bench.store.connection.redis.hset(STALLED, "lab", "HTTP 401")
    monkeypatch.setattr("processor.store.stalled_sources.MAX_AGE", -1.0)
    provider.says("1", status="running")
    await ask_all(bench, polled, "1")
    assert await bench.store.stalled_sources.read() == {}


async def test_a_failure_of_the_account_does_not_count_as_a_failure_of_the_job(
    bench: Any, provider: Any, polled: Any
):
    provider.says("1", 500)
    await ask_all(bench, polled, "1")
    series = (await bench.job("1")).failed_polls
    provider.says("1", 429, headers={"Retry-After": "0"})
    await polling_now(bench, "1")
    await polled(bench)
    assert (await bench.job("1")).failed_polls == series
    assert series.count == 1


async def failures(bench: Any, job: str, source: str = "lab") -> int:
    """How many polls of a job failed in a row."""
    series = (await bench.job(job, source)).failed_polls
    return series.count if series else 0


# --- failures of one job --------------------------------------------------------------------

FAILURES = [
    ("missing", lambda p: p.says("1", 404)),
    ("an error of theirs", lambda p: p.says("1", 500)),
    ("no JSON", lambda p: p.raw("1", "<html>")),
    ("no status", lambda p: p.says("1", 200)),
    ("another code", lambda p: p.says("1", 204)),
]


@pytest.mark.parametrize("happens", [t[1] for t in FAILURES], ids=[t[0] for t in FAILURES])
async def test_a_failed_poll_is_postponed_and_changes_nothing(
    bench: Any, provider: Any, polled: Any, happens: Any
):
    happens(provider)
    since = await bench.store.now()
    await ask_all(bench, polled, "1")
    job = await bench.job("1")
    assert (job.state, job.seen, job.sequence) == (State.QUEUED, False, 0)
    due = await bench.due("poll", "lab/1")
    assert await began(bench, due, schedule.FAILURE_PAUSE, since)
    assert await failures(bench, "1") == 1
    await bench.watch("2")  # the source is polled for other jobs
    assert await polled(bench) == ["lab/2"]


@pytest.mark.parametrize("status", [404, 500])
async def test_retry_after_of_an_error_postpones_a_poll_by_five_minutes_at_most(
    bench: Any, provider: Any, polled: Any, status: int
):
    """One such answer must not cost a job with a short deadline its result."""
    provider.says("1", status, headers={"Retry-After": "86400"})
    since = await bench.store.now()
    await ask_all(bench, polled, "1")
    due = await bench.due("poll", "lab/1")
    assert await began(bench, due, schedule.MAX_FAILURE_PAUSE, since)


async def test_a_wait_that_a_provider_wants_ends_when_the_clock_is_set_back(
    bench: Any, provider: Any, polled: Any
):
    """The due time was moved with the clock; the moment in the job's record was not."""
    keys, redis = bench.store.shard("lab", "1"), bench.store.connection.redis
    now, ahead = bench.store.now, 6 * 3600.0

    async def fast() -> float:
        return float(await now()) + ahead

    provider.says("1", status="running", headers={"Retry-After": "2"})
    await bench.watch("1")
    await polling_now(bench, "1")
    bench.store.now = fast
    assert await polled(bench) == ["lab/1"]
    bench.store.now = now
    assert (await bench.job("1")).poll_not_before > await now() + ahead - 60
    due = int((await now()) * 1000)
    await redis.zadd(keys.due("poll", "lab"), {"lab/1": due})
    await redis.zadd(keys.lanes["poll"], {"lab": due})
    provider.says("1", status="succeeded")
    assert await polled(bench) == ["lab/1"]
    assert (await bench.job("1")).state is State.SUCCEEDED


async def test_a_good_answer_resets_the_count_of_failures(bench: Any, provider: Any, polled: Any):
    provider.says("1", 500)
    await ask_all(bench, polled, "1")
    provider.says("1", status="running")
    await polling_now(bench, "1")
    await polled(bench)
    assert await failures(bench, "1") == 0


async def test_a_job_that_was_seen_and_is_missing_is_polled_later(
    bench: Any, provider: Any, polled: Any
):
    await bench.push(id="1", status="running")
    provider.says("1", 404)
    await polled(bench)
    assert (await bench.job("1")).state is State.RUNNING


@pytest.mark.parametrize("status", [404, 410])
async def test_a_job_that_was_seen_and_is_gone_has_expired(
    bench: Any, provider: Any, polled: Any, status: int
):
    await bench.push("dropper", id="1", status="running")
    provider.says("1", status)
    await polled(bench)
    assert (await bench.job("1", "dropper")).state is State.RUNNING
    assert await failures(bench, "1", "dropper") == 1
    await bench.fail_longer("1", "dropper", schedule.GONE_AFTER)
    await poll_now(bench.context, "dropper", "1")
    assert await bench.poll() == ["dropper/1"]
    job = await bench.job("1", "dropper")
    assert (job.state, job.provisional, job.failed_polls) == (State.EXPIRED, False, None)
    assert [kind for _, kind in await bench.events()] == ["job.started", "job.expired"]


async def test_a_job_is_not_gone_before_its_polls_have_said_so_for_a_minute(
    bench: Any, provider: Any
):
    """A proxy that restarts, or a reader of another replica, does not find it either."""
    await bench.push("dropper", id="1", status="running")
    provider.says("1", 404)
    for _ in range(3):
        await poll_now(bench.context, "dropper", "1")
        assert await bench.poll() == ["dropper/1"]
        assert (await bench.job("1", "dropper")).state is State.RUNNING
    await bench.fail_longer("1", "dropper", schedule.GONE_AFTER - 30)
    await poll_now(bench.context, "dropper", "1")
    assert await bench.poll() == ["dropper/1"]
    assert await failures(bench, "1", "dropper") == 4
    provider.says("1", status="succeeded")
    await poll_now(bench.context, "dropper", "1")
    await bench.poll()
    assert (await bench.job("1", "dropper")).state is State.SUCCEEDED


async def test_another_failure_before_a_404_does_not_count_for_it(bench: Any, provider: Any):
    await bench.push("dropper", id="1", status="running")

    def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", status=404, content_type="text/html")

    for other in (lambda: provider.says("1", 502), lambda: provider.stream("1", page)):
        other()
        await poll_now(bench.context, "dropper", "1")
        await bench.poll()
        await bench.fail_longer("1", "dropper", schedule.GONE_AFTER)
        provider.says("1", 404)
        await poll_now(bench.context, "dropper", "1")
        await bench.poll()
        assert (await bench.job("1", "dropper")).state is State.RUNNING
    assert await failures(bench, "1", "dropper") == 4
    await poll_now(bench.context, "dropper", "1")
    await bench.poll()
    assert (await bench.job("1", "dropper")).state is State.EXPIRED


@pytest.mark.parametrize("known", [True, False])
async def test_a_push_between_two_404s_shows_that_the_job_is_not_gone(
    bench: Any, provider: Any, *, known: bool
):
    """The polls of a minute count from then on, and two of them at least; the series goes on."""

    async def poll_again() -> State:
        await poll_now(bench.context, "dropper", "1")
        assert await bench.poll() == ["dropper/1"]
        state: State = (await bench.job("1", "dropper")).state
        return state

    provider.says("1", 404)
    if known:
        await bench.push("dropper", id="1", status="queued")
    else:
        await bench.watch("1", "dropper")
    await poll_again()
    await bench.fail_longer("1", "dropper", schedule.GONE_AFTER)
    await bench.push("dropper", id="1", status="running")
    await bench.fail_longer("1", "dropper", schedule.GONE_AFTER)
    assert await poll_again() is State.RUNNING
    assert await poll_again() is State.RUNNING
    assert await failures(bench, "1", "dropper") == 3
    await bench.fail_longer("1", "dropper", schedule.GONE_AFTER)
    assert await poll_again() is State.EXPIRED


async def test_a_push_of_an_earlier_attempt_does_not_show_that_a_job_is_not_gone(
    bench: Any, provider: Any
):
    await bench.push("lab", id="1", status="running", attempt=2)
    provider.says("1", 502)
    await poll_now(bench.context, "lab", "1")
    await bench.poll()
    before = (await bench.job("1")).failed_polls
    await bench.push("lab", id="1", status="running", attempt=1)
    assert (await bench.job("1")).failed_polls == before
    await bench.push("lab", id="1", status="running", attempt=2, note="again")
    assert (await bench.job("1")).failed_polls == replace(before, unseen_since=0.0)


async def test_a_push_between_failed_polls_does_not_put_off_the_alarm(bench: Any, provider: Any):
    provider.says("1", 404)
    for number in range(schedule.STALLED_AFTER):
        await bench.push("dropper", id="1", status="running", note=number)
        await poll_now(bench.context, "dropper", "1")
        await bench.poll()
    assert [kind for _, kind in await bench.events()] == ["job.started", "job.poll_stalled"]


async def test_a_job_that_was_never_seen_is_not_gone(bench: Any, provider: Any, polled: Any):
    provider.says("1", 404)
    with capture_logs() as logged:
        await ask_all(bench, polled, "1", source="dropper")
    assert [one["kind"] for one in logged if one["event"] == "poll_failed"] == ["missing"]
    assert (await bench.job("1", "dropper")).state is State.QUEUED
    assert await failures(bench, "1", "dropper") == 1


async def test_a_job_that_only_its_submit_call_named_is_not_gone(bench: Any, provider: Any):
    """Its provider's status lags behind."""
    answer = Submitted({"id": "1", "status": "queued"})
    await bench.watch("1", "dropper", submitted=answer)
    provider.says("1", 404)
    await poll_now(bench.context, "dropper", "1")
    assert await bench.poll() == ["dropper/1"]
    assert (await bench.job("1", "dropper")).state is State.QUEUED
    provider.says("1", status="succeeded")
    await poll_now(bench.context, "dropper", "1")
    assert await bench.poll() == ["dropper/1"]
    assert (await bench.job("1", "dropper")).state is State.SUCCEEDED


async def test_an_answer_with_another_id_counts_for_the_polled_job(
    bench: Any, provider: Any, polled: Any
):
    provider.says("k2", id="1", status="running")
    await ask_all(bench, polled, "k2")
    job = await bench.job("1")
    assert (job.id, job.aliases, job.state) == ("k2", ("1",), State.RUNNING)


@pytest.mark.parametrize(
    ("age", "pause"), [(0.0, schedule.UNKNOWN_PAUSE), (3600.0, schedule.MAX_UNKNOWN_PAUSE)]
)
async def test_a_poll_of_a_source_that_this_process_does_not_know_waits_by_the_age_of_its_job(
    bench: Any, bench_of: Any, provider: Any, polled: Any, *, age: float, pause: float
):
    await bench.watch("1")
    await grow_older(bench, "1", age)
    without = await bench_of(without="lab")
    since = await without.store.now()
    assert await polled(without) == ["lab/1"]
    assert provider.asked == []
    due = await bench.due("poll", "lab/1")
    assert await began(without, due, pause, since)
    assert (await bench.job("1")).state is State.QUEUED


async def test_poll_once_writes_nothing(bench: Any, provider: Any):
    provider.says("1", status="succeeded")
    source = bench.context.settings.sources["lab"]
    answer, outcome = await poll.poll_once(bench.context, source, "1", {})
    assert (answer.status, outcome.state) == (200, State.SUCCEEDED)
    assert await bench.jobs() == []
