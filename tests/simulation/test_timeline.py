"""A timeline goes from queued to its end in the profile's words, and reads back as planned."""

from collections.abc import Iterator, Sequence

import pytest

from processor import provider, state_machine
from processor.config.profiles import ProfileRegistry
from processor.model import FINAL, Job as Record, State, StatusUpdate
from processor.provider import PollFailure
from processor.simulation import SimulatedJob, params_from_provider, timeline, vocabulary

PROFILES = dict(ProfileRegistry())
BEGUN = 1795346400.0
ORDER = [State.QUEUED, State.RUNNING]
LIVES = [
    (name, kind, end)
    for name, profile in PROFILES.items()
    for kind in profile.kinds
    for end in State
    if end in FINAL and any(end in words for words in vocabulary(profile, kind))
]


def job(name: str, kind: str | None, end: State = State.SUCCEEDED) -> SimulatedJob:
    profile = PROFILES[name]
    moments = timeline(profile, kind, end, 9.0)
    return SimulatedJob(profile, kind, "j-1", moments, params_from_provider(profile, kind))


@pytest.mark.parametrize(("name", "kind", "end"), LIVES)
def test_a_timeline_moves_forward_to_the_requested_end(name: str, kind: str | None, end: State):
    moments = job(name, kind, end).moments
    states = [moment.state for moment in moments]
    assert states == sorted(states, key=[*ORDER, end].index)
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
    assert (states[-1], moments[-1].at) == (end, 9.0)
    assert all(moment.pushed or moment.polled or moment.progress for moment in moments)


@pytest.mark.parametrize(("name", "kind", "end"), LIVES)
def test_progress_rises_while_it_runs(name: str, kind: str | None, end: State):
    outcome = [m.progress for m in job(name, kind, end).moments if m.progress is not None]
    assert outcome == sorted(set(outcome))
    assert (1.0 in outcome) is (end is State.SUCCEEDED)


@pytest.mark.parametrize(("name", "kind", "end"), LIVES)
def test_pushes_report_the_states_of_the_timeline(name: str, kind: str | None, end: State):
    played = job(name, kind, end)
    for number, moment in enumerate(played.moments):
        if moment.pushed:
            push = played.push(number, BEGUN).push
            (update,) = provider.read_push(played.profile, "s", push, BEGUN).updates
            assert (update.id, update.state) == (played.full_id, moment.state)


@pytest.mark.parametrize(("name", "kind", "end"), LIVES)
def test_poll_responses_report_the_states_of_the_timeline(name: str, kind: str | None, end: State):
    played = job(name, kind, end)
    for moment in played.moments:
        answer = played.answer(moment.at, BEGUN)
        if moment.polled and answer:
            outcome = ask(played, moment.at)
            assert outcome.state is moment.state
            assert played.is_over(moment.at) is (moment is played.moments[-1])


def ask(played: SimulatedJob, elapsed: float) -> StatusUpdate:
    answer = played.answer(elapsed, BEGUN)
    assert answer
    outcome = provider.read_poll_response(
        played.profile, "s", played.kind, played.full_id, answer, BEGUN + elapsed
    )
    assert not isinstance(outcome, PollFailure), outcome
    return outcome


def test_between_two_moments_a_poll_returns_the_earlier():
    played = job("wistia", None)
    assert [ask(played, at).status for at in (0.0, 2.9, 3.0, 8.9, 9.0, 99.0)] == [
        "queued",
        "queued",
        "started",
        "started",
        "finished",
        "finished",
    ]


def test_a_word_of_one_channel_is_not_used_in_the_other():
    media = job("wistia", "media").moments
    assert [m.pushed for m in media if m.pushed] == [
        "media.created",
        "media.processing",
        "media.ready",
    ]
    assert [m.polled for m in media] == ["queued", "processing", "processing", "ready"]


def test_a_word_is_pushed_twice_only_to_report_progress():
    assert [m.pushed for m in job("replicate", None).moments] == [
        "starting",
        "processing",
        None,
        "succeeded",
    ]
    assert [m.pushed for m in job("standard", None).moments] == [
        "queued",
        "running",
        "running",
        "succeeded",
    ]


def test_before_the_first_polled_word_there_is_no_response():
    profile = provider.parse(
        "acme",
        """
        [push]
        about = { "/e" = ["new", "done"] }
        id = "/id"
        status = "/e"
        [poll]
        request = "GET /{id}"
        status = [{ is = "finished", if = { "/finished" = true } }]
        every = ["1s", "1s"]
        [states]
        new = "queued"
        done = "succeeded"
        finished = "succeeded"
        """,
    )
    played = SimulatedJob(profile, None, "1", timeline(profile, None, State.SUCCEEDED, 3.0), {})
    assert [(m.pushed, m.polled) for m in played.moments] == [("new", None), ("done", "finished")]
    assert played.answer(1.0, BEGUN) is None
    assert played.answer(3.0, BEGUN)


def test_an_end_without_a_word_is_refused_and_the_possible_ends_are_named():
    with pytest.raises(ValueError, match="mux has no word for expired; its jobs end succeeded, fa"):
        timeline(PROFILES["mux"], None, State.EXPIRED, 1.0)


@pytest.mark.parametrize(("name", "kind", "end"), LIVES)
def test_the_state_machine_reaches_the_requested_end(name: str, kind: str | None, end: State):
    played = job(name, kind, end)
    assert end in {state_after(played, [*outcome(played)]) for outcome in (pushed, polled)}


@pytest.mark.parametrize(("name", "kind", "end"), LIVES)
def test_the_state_machine_reaches_a_pushed_end_in_any_order(
    name: str, kind: str | None, end: State
):
    played = job(name, kind, end)
    if played.moments[-1].pushed:
        assert state_after(played, [*pushed(played)][::-1]) is end


def state_after(played: SimulatedJob, updates: Sequence[StatusUpdate]) -> State:
    name = played.profile.name
    known = Record("s", name, played.full_id, "u", BEGUN, 99.0, BEGUN + 99, kind=played.kind)
    for update in updates:
        known = state_machine.advance(known, update, BEGUN).job
    return known.state


def pushed(played: SimulatedJob) -> Iterator[StatusUpdate]:
    for number, moment in enumerate(played.moments):
        if moment.pushed:
            push = played.push(number, BEGUN).push
            yield from provider.read_push(played.profile, "s", push, BEGUN + moment.at).updates


def polled(played: SimulatedJob) -> Iterator[StatusUpdate]:
    return (ask(played, moment.at) for moment in played.moments if moment.polled)
