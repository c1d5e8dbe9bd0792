"""PUT of a job: what it adds, what it leaves unchanged, and what follows from it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Conflict, InvalidValue, NotFound
from processor.model import State
from processor.service.events.tail import Tailer
from processor.service.groups.wait import wait_for_job
from processor.service.jobs import query, watch
from processor.service.jobs.ingest import ingest
from processor.service.jobs.watch_request import MAX_CALLBACKS, PollSettings, Submitted

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOUR = 3600.0
TARGET = "https://one.example/hooks"


# --- watching -----------------------------------------------------------------------------


async def test_the_first_put_creates_the_job_and_publishes_nothing(bench: Any):
    found, new = await bench.watch("1", metadata={"a": 1})
    assert new
    assert (found.job.state, found.job.metadata, found.job.seen) == (State.QUEUED, {"a": 1}, False)
    assert await bench.events() == []
    assert await bench.due("poll", "lab/1") == pytest.approx(await bench.store.now(), abs=1)
    assert await bench.due("ingest", "deadline:lab/1") == pytest.approx(
        found.job.deadline_at, abs=0.002
    )


async def test_a_put_of_a_job_that_a_push_created_only_adds_to_it(bench: Any):
    await bench.push(id="1", status="running")
    found, new = await bench.watch("1", metadata={"a": 1})
    assert not new
    assert (found.job.state, found.job.metadata, found.job.sequence) == (
        State.RUNNING,
        {"a": 1},
        1,
    )


async def test_metadata_and_params_merge_shallowly(bench: Any):
    await bench.watch("1", metadata={"a": {"x": 1}, "b": 1}, params={"r": "eu"})
    found, new = await bench.watch("1", metadata={"a": {"y": 2}, "c": None}, params={"q": "1"})
    assert not new
    assert found.job.metadata == {"a": {"y": 2}, "b": 1, "c": None}
    assert found.job.params == {"r": "eu", "q": "1"}


async def test_a_repeated_put_postpones_nothing_and_writes_nothing(bench: Any):
    request: dict[str, Any] = {
        "metadata": {"a": 1},
        "poll": PollSettings("1h"),
        "deadline": "2h",
        "aliases": ["k2"],
        "callback_url": TARGET,
    }
    first, _ = await bench.watch("1", **request)
    timers = [await bench.due("poll", "lab/1"), await bench.due("ingest", "deadline:lab/1")]
    for _ in range(3):
        again, new = await bench.watch("1", **request)
        assert (new, again.job, again.lookup.version) == (False, first.job, first.lookup.version)
        assert [
            await bench.due("poll", "lab/1"),
            await bench.due("ingest", "deadline:lab/1"),
        ] == timers


async def test_polls_can_be_disabled_and_enabled_again(bench: Any):
    await bench.watch("1", poll=False)
    assert await bench.due("poll", "lab/1") is None
    await bench.watch("1", metadata={"a": 1})
    assert await bench.due("poll", "lab/1") is None
    await bench.watch("1", poll=True)
    assert await bench.due("poll", "lab/1") is not None
    await bench.watch("1", poll=False)
    assert await bench.due("poll", "lab/1") is None


async def test_a_requested_poll_interval_is_stored(bench: Any, provider: Any, polled: Any):
    found, _ = await bench.watch("1", poll=PollSettings("1h"))
    now = await bench.store.now()
    at = await bench.due("poll", "lab/1")
    assert 0.9 * HOUR - 1 <= at - now <= HOUR
    assert found.job.polling.every == HOUR


async def test_a_deadline_counts_from_creation_and_moves_its_timer(bench: Any):
    found, _ = await bench.watch("1", deadline="2h")
    assert found.job.deadline_at == pytest.approx(found.job.created_at + 2 * HOUR)
    found, _ = await bench.watch("1", deadline="5h")
    assert found.job.deadline_at == pytest.approx(found.job.created_at + 5 * HOUR)
    assert await bench.due("ingest", "deadline:lab/1") == pytest.approx(
        found.job.deadline_at, abs=0.002
    )
    found, _ = await bench.watch(
        "1", metadata={"a": 1}
    )  # without a deadline in the request it stays
    assert found.job.deadline == 5 * HOUR


async def test_a_repeated_put_leaves_the_deadline_of_a_rerun_unchanged(bench: Any):
    await bench.watch("1", deadline="2h")
    await bench.push(id="1", status="failed", attempt=1)
    await bench.push(id="1", status="running", attempt=2)
    before = await bench.job("1")
    found, _ = await bench.watch("1", deadline="2h")
    assert (found.job.attempt, found.job.deadline_at) == (2, before.deadline_at)


async def test_a_new_deadline_of_a_rerun_counts_from_its_start(bench: Any):
    first, _ = await bench.watch("1", deadline="2h")
    await bench.push(id="1", status="failed", attempt=1)
    await bench.push(id="1", status="running", attempt=2)
    before = await bench.job("1")
    assert before.deadline_at > first.job.deadline_at
    found, _ = await bench.watch("1", deadline="3h")
    assert found.job.deadline_at == pytest.approx(before.deadline_at + HOUR, abs=1e-5)
    assert await bench.due("ingest", "deadline:lab/1") == pytest.approx(
        found.job.deadline_at, abs=0.002
    )


INVALID = [
    ("a bad duration", {"deadline": "soon"}, "deadline"),
    ("a bad interval", {"poll": PollSettings("often")}, "poll.every"),
    ("no deadline at all", {"deadline": "0s"}, "deadline"),
    ("a deadline past all calendars", {"deadline": "999999999d"}, "deadline"),
    ("an interval past all calendars", {"poll": PollSettings("999999999d")}, "poll.every"),
    ("a deadline over ten years", {"deadline": "3651d"}, "deadline"),
    ("an interval over a day", {"poll": PollSettings("25h")}, "poll.every"),
    ("polls without a pause", {"poll": PollSettings("0s")}, "poll.every"),
    ("an id that cannot be one", {"aliases": ["a\nb"]}, "aliases"),
    ("a secret that signs nothing", {"callback_secret": SECRET}, "no callback_url"),
    ("a bad secret", {"callback_url": TARGET, "callback_secret": "hunter2"}, "callback_secret"),
    ("a private target", {"callback_url": "https://10.0.0.1/"}, "callback_url"),
    ("no URL", {"callback_url": "one.example"}, "callback_url"),
    ("no job in the answer", {"submitted": Submitted({"x": 1})}, "submitted"),
    ("an answer of failure", {"submitted": Submitted({"id": "1"}, 500)}, "submitted"),
]


@pytest.mark.parametrize(("body", "field"), [r[1:] for r in INVALID], ids=[r[0] for r in INVALID])
async def test_an_invalid_request_names_its_field_and_writes_nothing(
    bench: Any, body: dict[str, Any], field: str
):
    with pytest.raises(InvalidValue, match=field):
        await bench.watch("1", **body)
    assert await bench.jobs() == []


async def test_the_longest_and_shortest_times_can_be_viewed(bench: Any):
    found, _ = await bench.watch("1", deadline="3650d", poll=PollSettings("24h"))
    shown = await query.view(bench.context, found)
    assert shown["deadline_at"].year > 2030
    assert shown["next_poll_at"] is not None
    await bench.watch("2", deadline="1ms", poll=PollSettings("1ms"))


async def test_an_unknown_source_is_not_found(bench: Any):
    with pytest.raises(NotFound, match="nobody"):
        await bench.watch("1", "nobody")


# --- aliases ------------------------------------------------------------------------------


async def test_a_job_is_found_under_its_aliases(bench: Any):
    await bench.watch("1", aliases=["k2", "k3"])
    assert [(await bench.job(name)).id for name in ("1", "k2", "k3")] == ["1"] * 3
    _, new = await bench.watch("k2", metadata={"a": 1})
    assert not new
    assert (await bench.job("1")).metadata == {"a": 1}


async def test_an_alias_that_is_a_job_is_a_conflict(bench: Any):
    await bench.watch("1")
    with pytest.raises(Conflict, match="'1'"):
        await bench.watch("2", aliases=["1"])


async def test_an_alias_of_another_job_is_a_conflict(bench: Any):
    await bench.watch("1", aliases=["k"])
    with pytest.raises(Conflict, match="'k'"):
        await bench.watch("2", aliases=["k"])


async def test_a_refused_put_writes_no_aliases(bench: Any):
    await bench.watch("1")
    with pytest.raises(Conflict):
        await bench.watch("2", aliases=["k", "1"])
    with pytest.raises(NotFound):
        await bench.job("k")
    await bench.watch("3", aliases=["k"])
    assert (await bench.job("k")).id == "3"


async def test_a_put_by_an_alias_finds_the_job(bench: Any):
    await bench.push(id="1", alias="k2", status="running")
    found, new = await bench.watch("k2", aliases=["1"])
    assert (new, found.job.id, found.job.aliases) == (False, "1", ("k2",))


# --- the answer to a submit ----------------------------------------------------------------


async def test_the_answer_to_a_submit_gives_id_aliases_and_state(bench: Any):
    answer = Submitted({"id": "1", "alias": "k2", "status": "running"}, 201)
    found, new = await bench.watch("mine", submitted=answer)
    assert new
    assert (found.job.id, found.job.state) == ("1", State.RUNNING)
    assert set(found.job.aliases) == {"mine", "k2"}
    assert [kind for _, kind in await bench.events()] == ["job.started"]


async def test_a_submitted_final_state_counts_only_after_a_poll(
    bench: Any, provider: Any, polled: Any
):
    answer = Submitted({"id": "1", "status": "succeeded"})
    found, _ = await bench.watch("1", submitted=answer, poll=PollSettings("1h"))
    assert found.job.state is State.QUEUED
    assert await bench.events() == []
    provider.says("1", status="succeeded")
    assert await bench.poll() == ["lab/1"]  # at once, whatever the interval
    assert (await bench.job("1")).state is State.SUCCEEDED


async def test_a_poll_may_contradict_a_submitted_final_state(bench: Any, provider: Any):
    await bench.watch("1", submitted=Submitted({"id": "1", "status": "succeeded"}))
    provider.says("1", status="running")
    await bench.poll()
    assert (await bench.job("1")).state is State.RUNNING


async def test_a_submitted_final_state_counts_if_the_job_cannot_be_polled(bench: Any):
    answer = Submitted({"id": "1", "status": "succeeded"})
    found, _ = await bench.watch("1", "mute", submitted=answer, callback_url=TARGET)
    assert found.job.state is State.SUCCEEDED
    assert [kind for _, kind in await bench.events()] == ["job.succeeded"]
    assert len(await bench.deliveries()) == 1
    assert (await bench.store.backlogs.depth("ingest"))[0] == 0  # no timer is left


async def test_a_put_with_a_submit_answer_may_come_after_the_first_push(bench: Any):
    await bench.push(id="1", alias="k2", status="running")
    answer = Submitted({"id": "1", "alias": "k2", "status": "queued"})
    found, new = await bench.watch("k2", submitted=answer)
    assert (new, found.job.id, found.job.state) == (False, "1", State.RUNNING)


# --- callbacks ----------------------------------------------------------------------------


async def test_callbacks_accumulate_up_to_eight(bench: Any):
    for n in range(MAX_CALLBACKS):
        await bench.watch("1", callback_url=f"https://{n}.example/")
    with pytest.raises(InvalidValue, match=r"callback_url.*8"):
        await bench.watch("1", callback_url="https://9.example/")
    await bench.watch("1", callback_url="https://0.example/")  # a known callback is not a ninth one
    assert len((await bench.job("1")).callbacks) == MAX_CALLBACKS == 8


async def test_a_callback_needs_a_secret(bench_of: Any):
    bench = await bench_of(callback_secret="")
    with pytest.raises(InvalidValue, match="RINGBACK_CALLBACK_SECRET"):
        await bench.watch("1", callback_url=TARGET)
    await bench.watch("1", callback_url=TARGET, callback_secret=SECRET)


async def test_a_callback_gets_the_completion_once(bench: Any):
    await bench.watch("1", callback_url=TARGET)
    for status in ("running", "succeeded", "failed"):
        await bench.push(id="1", status=status)
    job = await bench.job("1")
    assert await bench.deliveries() == [f"{job.completion}.{job.callbacks[0].id}"]


async def test_a_callback_on_a_finished_job_is_delivered_at_once_with_its_completion_id(bench: Any):
    await bench.push(id="1", status="succeeded")
    events = await bench.events()
    for _ in range(2):
        await bench.watch("1", callback_url=TARGET)
    job = await bench.job("1")
    assert job.completion == events[-1][0]
    assert await bench.deliveries() == [f"{job.completion}.{job.callbacks[0].id}"]
    assert await bench.events() == events


async def test_a_late_callback_is_delivered_at_once_whatever_the_providers_clock_says(bench: Any):
    ahead = await bench.store.now() + HOUR
    await bench.push(id="1", status="succeeded", time=ahead)
    await bench.watch("1", callback_url=TARGET)
    assert len(await bench.deliveries()) == 1


async def test_a_late_callback_does_not_repeat_other_deliveries(bench: Any):
    await bench.watch("1", callback_url="https://first.example/")
    await bench.push(id="1", status="succeeded")
    await bench.watch("1", callback_url="https://second.example/")
    job = await bench.job("1")
    keys = bench.store.shard("lab", "1")
    assert await bench.store.connection.redis.hget(keys.event(job.completion), "n") == b"2"
    assert len(await bench.deliveries()) == 2


async def test_an_event_for_a_late_callback_has_the_same_bytes(bench: Any):
    """An event id has one payload, also if a PUT changes the metadata before the last delivery."""
    await bench.watch("1", callback_url="https://first.example/")
    await bench.push(id="1", status="succeeded", event="a")
    (event,) = await bench.store.events.page(bench.store.events.start(), 10)
    await bench.push(id="1", alias="k2", status="succeeded", event="b")
    await bench.watch("1", metadata={"a": 1}, callback_url=TARGET)
    assert await body_of(bench, event.id) == event.body


async def test_an_event_for_a_late_callback_has_the_metadata_of_its_put(bench: Any):
    """The push came before the PUT, whose metadata must not be missing."""
    await bench.push(id="1", status="succeeded")
    await bench.watch("1", metadata={"order": 17}, callback_url=TARGET)
    job = await bench.job("1")
    event = json.loads(await body_of(bench, job.completion))
    assert (event["type"], event["data"]["metadata"]) == ("job.succeeded", {"order": 17})


async def body_of(bench: Any, event: str) -> Any:
    """The body that the next deliveries of an event get."""
    _, (body,) = await bench.store.subscriptions.read(bench.store.shard("lab", "1"), [], [event])
    return body


# --- poll now, wait, unwatch ----------------------------------------------------------------


async def test_poll_now_polls_at_once(bench: Any, provider: Any):
    await bench.watch("1", poll=PollSettings("1h"))
    assert await bench.poll() == []
    await watch.poll_now(bench.context, "lab", "1")
    provider.says("1", status="running")
    assert await bench.poll() == ["lab/1"]
    assert (await bench.job("1")).state is State.RUNNING


async def test_poll_now_of_a_job_that_cannot_be_polled_is_a_conflict_with_a_reason(bench: Any):
    await bench.watch("1", "mute")
    with pytest.raises(Conflict, match="status_url"):
        await watch.poll_now(bench.context, "mute", "1")


async def test_poll_now_of_a_finished_job_is_a_conflict(bench: Any):
    await bench.push(id="1", status="succeeded")
    with pytest.raises(Conflict, match="finished"):
        await watch.poll_now(bench.context, "lab", "1")
    assert await bench.due("poll", "lab/1") is None


async def test_waiting_ends_when_the_job_finishes(bench: Any):
    await bench.watch("1")
    tailer = Tailer(bench.store)
    waiting = asyncio.create_task(wait_for_job(bench.context, tailer, ("lab", "1"), 10.0))
    await bench.push(id="1", status="running", event="a")
    assert not waiting.done()
    await bench.push(id="1", status="succeeded", event="b")
    found = await asyncio.wait_for(waiting, 2.0)
    assert found.job.state is State.SUCCEEDED
    await tailer.close()


async def test_waiting_ends_when_the_time_is_up(bench: Any):
    await bench.watch("1")
    tailer = Tailer(bench.store)
    found = await wait_for_job(bench.context, tailer, ("lab", "1"), 0.05)
    assert found.job.state is State.QUEUED
    await tailer.close()


async def test_an_unwatched_job_has_no_history_and_no_more_work(bench: Any, provider: Any):
    await bench.push(id="1", status="running")
    await watch.unwatch(bench.context, "lab", "1")
    for call in (query.history, query.find, watch.unwatch):
        with pytest.raises(NotFound):
            await call(bench.context, "lab", "1")  # type: ignore[operator]


async def test_timers_of_an_unwatched_job_are_dropped(bench: Any, provider: Any, polled: Any):
    await bench.watch("1", deadline="1ms")
    await watch.unwatch(bench.context, "lab", "1")
    assert await polled(bench) == ["lab/1"]
    await bench.ingest()
    assert provider.asked == []
    assert await bench.jobs() == []
    for backlog in ("poll", "ingest"):
        assert (await bench.store.backlogs.depth(backlog))[0] == 0


# --- the deadline -------------------------------------------------------------------------


async def expired(bench: Any, wait_until: Any, job: str = "1") -> None:
    async def over() -> bool:
        await bench.ingest()
        return (await bench.job(job)).state is State.EXPIRED

    await wait_until(over)


async def test_a_job_expires_at_its_deadline_and_later_updates_still_count(
    bench: Any, wait_until: Any
):
    await bench.watch("1", deadline="50ms", callback_url=TARGET)
    await expired(bench, wait_until)
    assert (await bench.job("1")).provisional
    await bench.push(id="1", status="succeeded")
    job = await bench.job("1")
    assert (job.state, job.provisional) == (State.SUCCEEDED, False)
    assert [kind for _, kind in await bench.events()] == ["job.expired", "job.succeeded"]
    assert len(await bench.deliveries()) == 2


@pytest.mark.parametrize("behind", [0.0005, 0.3])
async def test_a_deadline_that_is_claimed_by_a_worker_with_a_slow_clock_is_not_lost(
    bench: Any, wait_until: Any, behind: float
):
    await bench.watch("1", deadline="50ms", poll=False)
    await bench.store.now()
    bench.store.connection._offset -= behind
    await expired(bench, wait_until)


async def test_a_deadline_that_moves_while_it_is_claimed_is_not_lost(bench: Any, wait_until: Any):
    await bench.watch("1", deadline="1ms", poll=False)
    claims: list[Any] = []

    async def claimed() -> list[Any]:
        claims.extend(await bench.claim(bench.store.shards[0], "ingest"))
        return claims

    await wait_until(claimed)
    await bench.watch("1", deadline="900ms")
    before = await bench.store.now()
    await ingest(bench.context, claims)
    after = await bench.store.now()
    assert (await bench.job("1")).state is State.QUEUED
    due = await bench.due("ingest", "deadline:lab/1")
    # A second: if a clock is wrong, it is not due at once again and again.
    assert before + 0.95 <= due <= after + 1.05
    await expired(bench, wait_until)


# --- jobs that can never be polled ------------------------------------------------------------

ASKED = """
[poll]
request = "GET {status_url}"
status = "/status"
every = ["1s", "10s"]
params = { status_url = "header:Location" }
[submit]
params = { status_url = "header:Location" }
[states]
succeeded = "succeeded"
running = "running"
"""


@pytest.fixture
async def asked(bench_of: Any, tmp_path: Path, provider: Any) -> Any:
    """A bench with a source whose jobs have their own poll URL."""
    (tmp_path / "profiles" / "asked.toml").write_text(ASKED)
    table = f'[sources.asked]\nprovider = "asked"\nbase_url = "{provider.url}"\n'
    file = tmp_path / "ringback.toml"
    file.write_text(file.read_text().replace("[egress]", f"{table}\n[egress]"))
    return await bench_of()


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("https://evil.example/1", "its URL is not at http://127.0.0.1"),
        ("http://127.0.0.1:1/1", "its URL is not at http://127.0.0.1"),
        ("/jobs/a b", "holds a space"),
        ("/" + "x" * 3000, "longer than 2048"),
        ("", "its `status_url` is unknown"),
        (None, "its `status_url` is unknown"),
    ],
)
async def test_a_job_whose_polls_would_all_fail_is_refused(
    asked: Any, location: str | None, says: str
):
    headers = {} if location is None else {"Location": location}
    with pytest.raises(InvalidValue, match=says):
        await asked.watch("1", "asked", submitted=Submitted("", 202, headers))
    assert await asked.jobs() == []
    with pytest.raises(InvalidValue, match="`poll: false`" if not location else says):
        await asked.watch("1", "asked", params={"status_url": location or ""})
    await asked.watch("1", "asked", poll=False)
    assert len(await asked.jobs()) == 1


@pytest.mark.parametrize("location", ["jobs/1", "/jobs/1", "./jobs/1#now", "//HOST/jobs/1"])
async def test_a_relative_location_is_polled(asked: Any, provider: Any, polled: Any, location: str):
    host = provider.url.partition("//")[2]
    answer = Submitted("", 202, {"Location": location.replace("HOST", host)})
    await asked.watch("1", "asked", submitted=answer)
    provider.says("1", status="succeeded")
    await polled(asked)
    assert (await asked.job("1", "asked")).state is State.SUCCEEDED


async def test_params_that_a_push_may_bring_may_be_missing(bench: Any):
    await bench.watch("1", "placed")
    with pytest.raises(InvalidValue, match="`repo` must have a value other than"):
        await bench.watch("2", "placed", params={"repo": "a/.."})
