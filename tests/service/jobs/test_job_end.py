"""What the end of a job shows: after how many seconds it ended, as exactly as that can be known."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from processor.config import Source, load
from processor.event_filters import EventRouter
from processor.model import Job, Origin, Polling, State, StatusUpdate
from processor.service.events.publish import DecisionInputs
from processor.service.jobs.decide import IncomingUpdate, decide, new_job
from processor.source_statistics import JobEnd
from processor.store.change import Change
from processor.store.job_lookup import JobLookup

NOW = 1_000_000.0
PROFILE = """
base_url = "https://lab.example"

[push]
id = "/id"
status = "/status"

[poll]
request = "GET /jobs/{id}"
id = "/id"
status = "/status"
every = ["20s", "1m"]

[states]
running = "running"
succeeded = "succeeded"
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return source_of(tmp_path, PROFILE)


def source_of(folder: Path, profile: str) -> Source:
    (folder / "lab.toml").write_text(profile)
    source = '[sources.lab]\nprovider = "lab"\ntrack = "all"\ntrust = "event"\n'
    (folder / "ringback.toml").write_text(f'providers = "."\n{source}')
    return load(folder / "ringback.toml", {}).sources["lab"]


class Run:
    """One watched job, which gets updates at its ages in seconds."""

    def __init__(self, source: Source, **fields: Any) -> None:
        self.source = source
        self.job: Job | None = replace(new_job(source, "1", NOW, "u"), **fields)

    def update(self, age: float, origin: Origin, state: State, **more: Any) -> JobEnd | None:
        now = NOW + age
        asked_at = now - 0.5 if origin is Origin.POLL else None
        given = {"at": asked_at or now, "poll_started_at": asked_at} | more
        update = StatusUpdate("lab", "1", state.value, state, origin=origin, **given)
        inputs = DecisionInputs(self.source, EventRouter("0", []), now, 0.0, "u")
        change: Change = decide(JobLookup("1", self.job), "1", [IncomingUpdate(update)], inputs)
        self.job = change.job
        return change.end

    def poll(self, age: float, state: State = State.SUCCEEDED, **more: Any) -> JobEnd | None:
        return self.update(age, Origin.POLL, state, **more)

    def push(self, age: float, state: State = State.SUCCEEDED, **more: Any) -> JobEnd | None:
        return self.update(age, Origin.PUSH, state, **more)


def lasted(end: JobEnd | None) -> tuple[float, float] | None:
    assert end
    return end.lasted


def test_a_poll_finds_the_end_between_itself_and_the_one_before(source: Source):
    job = Run(source)
    assert job.poll(20.0, State.RUNNING) is None
    assert lasted(job.poll(45.0)) == (19.5, 45.0)
    assert lasted(Run(source).poll(20.0)) == (0.0, 20.0)


def test_a_push_shows_the_end_when_it_arrives(source: Source):
    job = Run(source)
    job.poll(20.0, State.RUNNING)
    assert lasted(job.push(31.0)) == (31.0, 31.0)


def test_the_providers_own_time_counts_if_it_is_possible(source: Source):
    for end in ("poll", "push"):
        job = Run(source)
        job.poll(20.0, State.RUNNING)
        assert lasted(getattr(job, end)(45.0, at=NOW + 30.0)) == (30.0, 30.0)


@pytest.mark.parametrize("at", [-3600.0, 10.0, 46.0])
def test_a_time_that_cannot_be_right_does_not_count(source: Source, at: float):
    """Before the job, when a poll still found it running, or after now: another clock's time."""
    job = Run(source)
    job.poll(20.0, State.RUNNING)
    assert lasted(job.poll(45.0, at=NOW + at)) == (19.5, 45.0)


def test_a_job_that_ended_before_it_was_known_shows_no_duration(source: Source):
    """Its push may have been held, or somebody watches it late."""
    held = Run(source).push(0.1, at=NOW - 5.0)
    assert (held.found_by, held.lasted) == ("push", None)
    assert Run(source).poll(20.0, at=NOW - 60.0).lasted is None


def test_a_push_that_a_poll_confirms_shows_the_end(source: Source):
    job = Run(replace(source, trust="refetch"))
    assert job.push(30.0) is None
    end = job.poll(33.0)
    assert lasted(end) == (30.0, 30.0)
    assert end.found_by == "push"


def test_a_push_that_polls_did_not_confirm_then_does_not(source: Source):
    job = Run(replace(source, trust="refetch"))
    job.push(30.0)
    job.poll(33.0, State.RUNNING)
    assert lasted(job.poll(60.0)) == (32.5, 60.0)


def test_a_run_is_counted_from_its_own_start(source: Source):
    job = Run(source)
    job.push(100.0)
    job.push(200.0, State.RUNNING, attempt=2)
    assert lasted(job.push(230.0, attempt=2)) == (30.0, 30.0)


def test_a_push_after_the_poll_shows_no_duration(source: Source):
    job = Run(source)
    assert job.poll(20.0).found_by == "poll"
    late = job.push(25.0)
    assert (late.found_by, late.lasted, late.ended_at) == ("late_push", None, NOW + 20.0)
    assert job.push(26.0) is None


def test_a_source_without_pushes_loses_none(tmp_path: Path):
    only_polled = PROFILE[: PROFILE.index("[push]")] + PROFILE[PROFILE.index("[poll]") :]
    end = Run(source_of(tmp_path, only_polled)).poll(20.0)
    assert (end.found_by, end.lasted) == (None, (0.0, 20.0))


def test_a_job_that_was_canceled_or_is_not_polled_shows_nothing(source: Source):
    assert Run(source).push(5.0, State.CANCELED) is None
    assert Run(source, polling=Polling(enabled=False)).push(5.0) is None


def test_a_job_of_which_the_first_word_is_its_end_shows_nothing(source: Source):
    unknown = Run(source)
    unknown.job = None
    assert unknown.push(5.0) is None


def test_a_late_end_after_our_deadline_is_an_end(source: Source):
    job = Run(source)
    day = 24 * 3600.0
    assert job.update(3 * day, Origin.DEADLINE, State.EXPIRED) is None
    assert lasted(job.push(4 * day)) == (4 * day, 4 * day)
