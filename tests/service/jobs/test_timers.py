"""The timers of a job: its next poll and its deadline."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from processor.config import Source, load
from processor.event_filters import EventRouter
from processor.job_durations import Durations
from processor.model import Job, Origin, Polling, State, StatusUpdate
from processor.poll_schedule import PollSchedule
from processor.push_loss import PushLoss
from processor.service.events.publish import DecisionInputs
from processor.service.jobs.decide import IncomingUpdate, decide, new_job, timers, with_poll_now
from processor.service.jobs.poll_interval import allowed_from
from processor.source_statistics import NO_STATISTICS, SourceStatistics
from processor.store.job_lookup import JobLookup
from processor.store.work_items import WorkItem

NOW = 1_000_000.0
AFTER, FIRST, LONGEST = 7.0, 20.0, 60.0  # seconds
PROFILE = """
base_url = "https://lab.example"

[poll]
request = "GET /jobs/{id}"
id = "/id"
status = "/status"
after = "7s"
every = ["20s", "1m"]
learn = false

[states]
running = "running"
"""
LEARNING = PROFILE.replace("learn = false\n", "")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return source_of(tmp_path, PROFILE)


def source_of(folder: Path, profile: str, more: str = "") -> Source:
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "lab.toml").write_text(profile)
    config = f'providers = "profiles"\n[sources.lab]\nprovider = "lab"\ndeadline = "1h"\n{more}'
    (folder / "ringback.toml").write_text(config)
    return load(folder / "ringback.toml", {}).sources["lab"]


def inputs(
    source: Source, now: float = NOW, statistics: SourceStatistics = NO_STATISTICS
) -> DecisionInputs:
    return DecisionInputs(source, EventRouter("0", []), now, 0.0, "u", statistics)


def fresh(source: Source, **fields: Any) -> Job:
    return replace(new_job(source, "1", NOW, "u"), **fields)


def when(puts: list[WorkItem], backlog: str) -> list[float]:
    return [put.at for put in puts if put.backlog == backlog]


def test_the_first_poll_comes_after_the_profiles_delay(source: Source):
    job = fresh(source)
    puts = timers(None, job, inputs(source), reschedule=True)
    assert when(puts, "poll") == [NOW + AFTER]
    assert when(puts, "ingest") == [NOW + 3600.0]


def test_later_polls_come_at_the_interval_for_the_jobs_age(source: Source):
    job = fresh(source)
    for age, interval in ((1.0, FIRST), (2000.0, 40.0), (3599.0, LONGEST)):
        puts = timers(job, job, inputs(source, NOW + age), reschedule=True)
        assert when(puts, "poll") == [NOW + age + interval]
        assert when(puts, "ingest") == []


def test_a_requested_interval_counts_for_the_first_poll_too(source: Source):
    job = fresh(source, polling=Polling(every=3.0))
    for before in (None, job):
        assert when(timers(before, job, inputs(source), reschedule=True), "poll") == [NOW + 3.0]


def test_no_poll_comes_before_the_providers_retry_after(source: Source):
    job = fresh(source, poll_not_before=NOW + 500.0)
    assert when(timers(None, job, inputs(source), reschedule=True), "poll") == [NOW + 500.0]
    early = replace(job, poll_not_before=NOW + 1.0)
    assert when(timers(None, early, inputs(source), reschedule=True), "poll") == [NOW + AFTER]


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"polled_at": NOW - 1.0}, True),
        ({"polled_at": NOW + 0.5}, True),  # processes read Redis' clock with such differences
        ({"polled_at": NOW + 60.0}, False),
        ({"created_at": NOW + 60.0}, False),  # the wait came with the answer to its submission
    ],
)
def test_a_wait_that_began_in_the_future_is_over(
    source: Source, *, fields: dict[str, Any], counts: bool
):
    """Then Redis' clock was set back, and its end may be hours away."""
    job = fresh(source, poll_not_before=NOW + 500.0, **fields)
    assert allowed_from(job, NOW) == (NOW + 500.0 if counts else 0.0)


def test_an_ignored_push_does_not_postpone_the_next_poll(source: Source):
    job = fresh(source)
    assert timers(job, job, inputs(source), reschedule=False) == []


def test_a_job_with_polls_disabled_gets_no_poll_timer(source: Source):
    job = fresh(source, polling=Polling(enabled=False))
    assert when(timers(None, job, inputs(source), reschedule=True), "poll") == []


def test_a_deadline_that_moved_or_was_claimed_early_is_written_again(source: Source):
    job = fresh(source)
    moved = replace(job, deadline_at=NOW + 60.0)
    assert when(timers(job, moved, inputs(source), reschedule=False), "ingest") == [NOW + 60.0]
    assert when(timers(job, job, inputs(source), reschedule=False, due=True), "ingest") == [
        NOW + 3600.0
    ]
    late = inputs(source, NOW + 9000.0)  # past the deadline by this clock, not by Redis' clock
    assert when(timers(job, job, late, reschedule=False, due=True), "ingest") == [NOW + 9001.0]


PUSHED = PROFILE.replace("[poll]", '[push]\nid = "/id"\nstatus = "/status"\n\n[poll]')
DAY = 86_400.0  # seconds
EXPIRED = {"state": State.EXPIRED, "provisional": True, "deadline_at": NOW}


@pytest.mark.parametrize("fields", [EXPIRED, {"polling": Polling(enabled=False)}])
def test_a_job_is_polled_for_a_day_after_a_push_that_a_poll_must_confirm(
    tmp_path: Path, fields: dict[str, Any]
):
    source = source_of(tmp_path, PUSHED, 'trust = "refetch"')
    job = fresh(source, poll_requested_at=NOW + 60.0, **fields)
    for age, polled in ((61.0, True), (59.0 + DAY, True), (60.0 + DAY, False)):
        puts = timers(job, job, inputs(source, NOW + age), reschedule=True)
        assert [put.backlog for put in puts] == ["poll"] * polled


@pytest.mark.parametrize(
    ("trust", "fields"),
    [
        ("event", EXPIRED),
        ("refetch", EXPIRED | {"poll_requested_at": 0.0}),
        ("refetch", EXPIRED | {"poll_requested_at": NOW - 1.0}),  # in the attempt before
        ("refetch", {"state": State.SUCCEEDED}),
    ],
)
def test_a_job_that_has_ended_is_not_polled_without_such_a_push(
    tmp_path: Path, trust: str, fields: dict[str, Any]
):
    source = source_of(tmp_path, PUSHED, f'trust = "{trust}"')
    job = fresh(source, **{"poll_requested_at": NOW, **fields})
    assert timers(job, job, inputs(source, NOW + 60.0), reschedule=True) == []


def test_a_job_that_has_expired_is_polled_until_a_later_deadline(source: Source):
    job = fresh(source, **EXPIRED | {"deadline_at": NOW + 60.0})
    for age, polled in ((59.0, True), (60.0, False)):
        puts = timers(job, job, inputs(source, NOW + age), reschedule=True)
        assert [put.backlog for put in puts] == ["poll"] * polled


TOOK = Durations(((300.0, 300.0), (310.0, 320.0)) * 50)
LOSSY = PushLoss(arrived=80.0, lost=20.0)


def test_polls_come_when_the_last_jobs_show_that_they_are_useful(tmp_path: Path):
    source, known = source_of(tmp_path, LEARNING), SourceStatistics(0.0, LOSSY, {"": TOOK})
    learnt = PollSchedule.learn(
        TOOK, (FIRST, LONGEST), AFTER
    )  # it has no pushes that could be lost
    job = fresh(source)
    first = timers(None, job, inputs(source, statistics=known), reschedule=True)
    assert when(first, "poll") == [NOW + learnt.first]
    for age in (10.0, 290.0, 1000.0):
        puts = timers(job, job, inputs(source, NOW + age, known), reschedule=True)
        assert when(puts, "poll") == [pytest.approx(NOW + age + learnt.gap(age))]


def test_pushes_that_are_not_lost_make_polls_rarer(tmp_path: Path):
    pushed = LEARNING.replace("[poll]", '[push]\nid = "/id"\nstatus = "/status"\n\n[poll]')
    source, known = source_of(tmp_path, pushed), SourceStatistics(0.0, LOSSY, {"": TOOK})
    learnt = PollSchedule.learn(TOOK, (FIRST, LONGEST), AFTER, loss=LOSSY.factor)
    puts = timers(fresh(source), fresh(source), inputs(source, NOW + 50, known), reschedule=True)
    assert when(puts, "poll") == [pytest.approx(NOW + 50 + learnt.gap(50.0))]


def test_progress_shows_when_a_job_will_end(tmp_path: Path):
    source, known = source_of(tmp_path, LEARNING), SourceStatistics(0.0, LOSSY, {"": TOOK})
    job = fresh(source, progress=0.5)
    learnt = PollSchedule.learn(TOOK, (FIRST, LONGEST), AFTER)
    puts = timers(job, job, inputs(source, NOW + 100, known), reschedule=True)
    assert when(puts, "poll") == [pytest.approx(NOW + 100 + learnt.gap(100.0, remaining=100.0))]


@pytest.mark.parametrize("profile", [PROFILE, LEARNING])
def test_nothing_is_learnt_where_the_configuration_says_so(tmp_path: Path, profile: str):
    source = source_of(tmp_path, profile, "learn = false\n")
    known = SourceStatistics(0.0, LOSSY, {"": TOOK})
    first = timers(None, fresh(source), inputs(source, statistics=known), reschedule=True)
    assert when(first, "poll") == [NOW + AFTER]
    puts = timers(fresh(source), fresh(source), inputs(source, NOW + 2000, known), reschedule=True)
    assert when(puts, "poll") == [NOW + 2000 + 40.0]


def test_a_callers_interval_is_not_learnt_over(tmp_path: Path):
    source, known = source_of(tmp_path, LEARNING), SourceStatistics(0.0, LOSSY, {"": TOOK})
    job = fresh(source, polling=Polling(every=3.0))
    for before, age in ((None, 0.0), (job, 290.0)):
        puts = timers(before, job, inputs(source, NOW + age, known), reschedule=True)
        assert when(puts, "poll") == [NOW + age + 3.0]


def test_a_finished_job_has_no_timers(source: Source):
    job = fresh(source, state=State.SUCCEEDED)
    assert timers(None, job, inputs(source), reschedule=True, due=True) == []


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.EXPIRED])
def test_the_planned_poll_stays_at_our_deadline_and_ends_with_the_providers_word(
    source: Source, state: State
):
    """Whether the provider's word is another than ours, or the same."""
    job, late = fresh(source), inputs(source, NOW + 3600.0)
    lookup = JobLookup("1", job)
    ours = StatusUpdate("lab", "1", "deadline", State.EXPIRED, late.now, Origin.DEADLINE)
    step = decide(lookup, "1", [IncomingUpdate(ours)], late)
    assert [item for _, _, item in step.dropped] == ["deadline:lab/1"]
    theirs = StatusUpdate("lab", "1", "over", state, late.now, Origin.PUSH)
    step = decide(replace(lookup, job=step.job), "1", [IncomingUpdate(theirs)], late)
    assert [item for _, _, item in step.dropped] == ["deadline:lab/1", "lab/1"]


def test_an_immediate_poll_replaces_the_planned_one(source: Source):
    job = fresh(source, poll_not_before=NOW + 2.0)
    puts = with_poll_now(timers(None, job, inputs(source), reschedule=True), job, NOW)
    assert when(puts, "poll") == [NOW + 2.0]
    assert when(puts, "ingest") == [NOW + 3600.0]


def test_without_updates_nothing_is_written(source: Source):
    job = fresh(source)
    change = decide(JobLookup("1-v", job), "1", [], inputs(source))
    assert (change.save, change.renew, change.items, change.dropped) == (False, False, [], [])


def test_an_eta_shows_when_a_job_will_end_until_it_is_over(tmp_path: Path):
    source, known = source_of(tmp_path, LEARNING), SourceStatistics(0.0, LOSSY, {"": TOOK})
    learnt = PollSchedule.learn(TOOK, (FIRST, LONGEST), AFTER)
    job = fresh(source, expected_at=NOW + 130.0, progress=0.5)
    for age, remaining in ((100.0, 30.0), (140.0, 140.0)):
        puts = timers(job, job, inputs(source, NOW + age, known), reschedule=True)
        gap = learnt.gap(age, remaining=remaining)
        assert when(puts, "poll") == [pytest.approx(NOW + age + gap)]


def test_the_newest_eta_is_remembered(source: Source):
    job = fresh(source)
    for age, remaining, expected in ((10.0, 60.0, 70.0), (20.0, None, 70.0), (30.0, 0.0, 30.0)):
        update = StatusUpdate(
            "lab",
            "1",
            "running",
            State.RUNNING,
            NOW + age,
            Origin.POLL,
            remaining=remaining,
            poll_started_at=NOW + age,
        )
        given = [IncomingUpdate(update)]
        job = decide(JobLookup("1", job), "1", given, inputs(source, NOW + age)).job
        assert job.expected_at == NOW + expected
