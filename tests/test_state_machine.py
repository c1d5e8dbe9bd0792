"""The state machine: order, repetition and loss of updates do not change the outcome of a job."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import Raw
from msgspec.structs import replace

from processor import state_machine
from processor.model import FINAL, Counts, Failure, Job, Origin, State, StatusUpdate
from processor.state_machine import (
    DEADLINE_RANK,
    EVENT_OF_STATE,
    PROGRESS_EVENTS_APART,
    RANK,
    Transition,
    advance,
)

CREATED = 1_000.0
DEADLINE = 100.0  # seconds after first sight
LATE = CREATED + DEADLINE

FINALS = sorted(FINAL)
COMPLETIONS = {EVENT_OF_STATE[state] for state in FINALS}


def job(**changes: Any) -> Job:
    fresh = Job("s", "p", "1", "u", CREATED, DEADLINE, LATE)
    return replace(fresh, **changes)


def update(state: State | None, at: float = CREATED, **fields: Any) -> StatusUpdate:
    values = {"origin": Origin.PUSH, "status": state or "mystery"} | fields
    return StatusUpdate("s", "1", state=state, at=at, **values)


def deadline(at: float = LATE) -> StatusUpdate:
    return update(State.EXPIRED, at, origin=Origin.DEADLINE, status="deadline")


def run(updates: Sequence[StatusUpdate], now: float = CREATED, start: Job | None = None) -> Any:
    """The job after these updates, a second apart, and the steps that led there."""
    at, steps = start or job(), []
    for second, one in enumerate(updates):
        steps.append(advance(at, one, now + second))
        at = steps[-1].job
    return at, steps


def emitted(steps: Sequence[Transition]) -> list[tuple[str, str, bool]]:
    """Every completion event: its id, its type, and whether it is provisional."""
    return [
        (step.job.completion or "", step.event, step.job.provisional)
        for step in steps
        if step.event in COMPLETIONS
    ]


# --- any feed -----------------------------------------------------------------------------

times = st.floats(CREATED - 50, CREATED + 500)


@st.composite
def feeds(draw: st.DrawFn) -> tuple[list[StatusUpdate], list[StatusUpdate]]:
    """One final update for each attempt; and others, of which any may be lost or repeated."""
    attempts = draw(st.integers(1, 3))
    number = st.just(None) if attempts == 1 else st.integers(1, attempts)
    finals = [
        update(
            draw(st.sampled_from(FINALS)),
            draw(times),
            attempt=None if attempts == 1 else attempt,
            counts=draw(st.none() | st.builds(Counts, failed=st.integers(0, 2))),
        )
        for attempt in range(1, attempts + 1)
    ]
    other = st.builds(
        update,
        st.sampled_from([State.QUEUED, State.RUNNING, None]),
        times,
        status=st.sampled_from(["a", "b", "c"]),
        attempt=number,
        progress=st.none() | st.floats(0, 1),
        origin=st.sampled_from([Origin.PUSH, Origin.POLL, Origin.SUBMIT]),
        aliases=st.sampled_from([(), ("x",), ("x", "y")]),
    )
    others = draw(st.lists(other | st.just(deadline()), max_size=10))
    return finals, others


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[StatusUpdate], list[StatusUpdate]]:
    """The same feed as it may arrive twice: shuffled, repeated, some of the others lost."""
    finals, others = draw(feeds())
    both = []
    for _ in range(2):
        kept = [one for one in others for _ in range(draw(st.integers(0, 2)))]
        again = [one for one in finals for _ in range(draw(st.integers(1, 2)))]
        both.append(draw(st.permutations(kept + again)))
    return both[0], both[1]


@given(orders(), st.floats(CREATED, LATE + 50), st.floats(CREATED, LATE + 50))
def test_order_repetition_and_loss_change_nothing_that_matters(
    orders: tuple[list[StatusUpdate], list[StatusUpdate]], now: float, other_now: float
):
    (one, steps), (two, other_steps) = run(orders[0], now), run(orders[1], other_now)
    assert (one.state, one.attempt, one.partial) == (two.state, two.attempt, two.partial)
    assert one.completion == two.completion
    assert emitted(steps)[-1] == emitted(other_steps)[-1]
    assert not one.provisional


@given(orders())
def test_an_attempt_has_at_most_one_provisional_and_one_final_event(
    orders: tuple[list[StatusUpdate], list[StatusUpdate]],
):
    _, steps = run(orders[0], LATE - 5)
    attempts = [(s.job.attempt, s.job.provisional) for s in steps if s.event in COMPLETIONS]
    assert len(attempts) == len(set(attempts))
    ids = [state_machine.event_id(step.job) for step in steps if step.event]
    assert len(ids) == len(set(ids))


@given(orders())
def test_sequence_counts_events_from_one(
    orders: tuple[list[StatusUpdate], list[StatusUpdate]],
):
    _, steps = run(orders[0], LATE - 5)
    assert [s.job.sequence for s in steps if s.event] == list(
        range(1, 1 + sum(bool(s.event) for s in steps))
    )


@given(orders())
def test_a_transition_without_event_or_reason_is_only_progress(
    orders: tuple[list[StatusUpdate], list[StatusUpdate]],
):
    jobs, (_, steps) = [job()], run(orders[0], LATE - 5)
    for step in steps:
        was, now = jobs[-1], step.job
        if step.ignored:
            assert (now.state, now.attempt, now.sequence) == (was.state, was.attempt, was.sequence)
            assert now.completion == was.completion
            assert step.event is None
        elif now.state is not was.state:
            assert step.event == EVENT_OF_STATE.get(now.state)
        jobs.append(now)


# --- why an update is ignored -------------------------------------------------------------

SUCCEEDED = run([update(State.SUCCEEDED)])[0]
RUNNING = run([update(State.RUNNING, CREATED + 10, status="on", progress=0.5)])[0]
EXPIRED = run([deadline()], LATE)[0]
SECOND = run([update(State.RUNNING, attempt=2)])[0]

IGNORED = [
    ("a final again", SUCCEEDED, update(State.SUCCEEDED, CREATED + 1), "duplicate"),
    ("another final", SUCCEEDED, update(State.FAILED, CREATED + 1), "conflict"),
    ("another final, older", SUCCEEDED, update(State.FAILED, CREATED - 1), "conflict"),
    ("running after the end", SUCCEEDED, update(State.RUNNING, CREATED + 1), "finished"),
    ("unknown after the end", SUCCEEDED, update(None, CREATED + 1), "finished"),
    ("our deadline after the end", SUCCEEDED, deadline(), "finished"),
    ("running after our deadline", EXPIRED, update(State.RUNNING), "expired"),
    ("unknown after our deadline", EXPIRED, update(None), "expired"),
    ("our deadline again", EXPIRED, deadline(), "duplicate"),
    ("queued after running", RUNNING, update(State.QUEUED, CREATED + 20), "behind"),
    ("running, but older", RUNNING, update(State.RUNNING, CREATED, status="up"), "older"),
    ("unknown, but older", RUNNING, update(None, CREATED, status="up"), "older"),
    (
        "running, nothing new",
        RUNNING,
        update(State.RUNNING, CREATED + 20, status="on"),
        "duplicate",
    ),
    ("of the attempt before", SECOND, update(State.SUCCEEDED, attempt=1), "older_attempt"),
]


@pytest.mark.parametrize(
    ("was", "new", "why"), [r[1:] for r in IGNORED], ids=[r[0] for r in IGNORED]
)
def test_an_ignored_update_has_a_reason(was: Job, new: StatusUpdate, why: str):
    step = advance(was, new, LATE)
    assert (step.ignored, step.event) == (why, None)
    assert (step.job.state, step.job.attempt, step.job.completion) == (
        was.state,
        was.attempt,
        was.completion,
    )


def test_a_deadline_update_before_the_deadline_is_ignored():
    assert advance(RUNNING, deadline(), LATE - 0.001) == Transition(RUNNING, ignored="early")
    assert advance(RUNNING, deadline(), LATE).event == "job.expired"


def test_every_ignored_reason_is_documented():
    documented = set(
        re.findall(r"`(\w+)`", (Transition.__doc__ or "").partition("ignored` says")[2])
    )
    assert {row[-1] for row in IGNORED} | {"early"} == documented


# --- unknown words ------------------------------------------------------------------------


@pytest.mark.parametrize("was", [job(), RUNNING], ids=["queued", "running"])
def test_an_unknown_status_keeps_the_state_and_is_stored(was: Job):
    step = advance(was, update(None, CREATED + 20, status="warming", flags=("odd",)), CREATED + 20)
    assert (step.job.state, step.job.status, step.job.flags) == (was.state, "warming", ("odd",))
    assert step.ignored is None


def test_an_unknown_first_status_of_a_rerun_means_queued():
    again = advance(SUCCEEDED, update(None, CREATED + 9, attempt=2), CREATED + 9).job
    assert (again.state, again.attempt, again.status) == (State.QUEUED, 2, "mystery")


# --- progress -----------------------------------------------------------------------------


def progress(fraction: float | None, at: float, state: State | None = State.RUNNING) -> Any:
    return update(state, at, status="on", progress=fraction)


def test_progress_is_emitted_at_most_once_a_second_and_the_newest_is_stored():
    at, events = advance(job(), progress(0.1, CREATED), CREATED).job, []
    for tick in range(1, 31):
        now = CREATED + tick / 10
        step = advance(at, progress(tick / 40, now), now)
        at = step.job
        events += [now] if step.event else []
        assert at.progress == tick / 40
        assert step.event in (None, "job.progressed")
    gaps = [b - a for a, b in itertools.pairwise(events)]
    assert len(events) >= 3
    assert all(gap >= PROGRESS_EVENTS_APART - 1e-6 for gap in gaps)


def test_progress_may_fall():
    assert advance(RUNNING, progress(0.1, CREATED + 20), CREATED + 20).job.progress == 0.1


@given(st.floats(0, 1), st.sampled_from([State.QUEUED, State.RUNNING, None]))
def test_progress_never_drives_the_state(fraction: float, state: State | None):
    for was in (job(), RUNNING):
        after = advance(was, progress(fraction, CREATED + 20, state), CREATED + 20).job
        assert after.state in (was.state, state)
        assert after.completion is None


def test_progress_of_a_queued_job_is_stored_without_an_event():
    step = advance(job(), progress(0.3, CREATED, State.QUEUED), CREATED)
    assert (step.event, step.job.progress, step.job.sequence) == (None, 0.3, 0)


def test_an_update_without_progress_keeps_the_newest_known():
    step = advance(RUNNING, update(State.RUNNING, CREATED + 20, status="more"), CREATED + 20)
    assert (step.job.progress, step.job.status) == (0.5, "more")


@pytest.mark.parametrize(
    ("field", "news", "event"),
    [
        ("counts", Counts(10, 4, 0), "job.progressed"),
        ("result", Raw(b'{"url":"x"}'), "job.progressed"),
        ("flags", ("progress_out_of_range",), None),
    ],
)
def test_changes_beside_status_and_progress_are_emitted_if_an_event_shows_them(
    field: str, news: object, event: str | None
):
    same = update(State.RUNNING, CREATED + 20, status=RUNNING.status, progress=0.5)
    step = advance(RUNNING, replace(same, **{field: news}), CREATED + 20)
    assert (getattr(step.job, field), step.event, step.ignored) == (news, event, None)


def test_failed_parts_make_a_success_partial():
    done = advance(RUNNING, update(State.SUCCEEDED, counts=Counts(3, 2, 1)), CREATED).job
    assert (done.state, done.progress, done.partial) == (State.SUCCEEDED, 1.0, True)
    whole = advance(RUNNING, update(State.SUCCEEDED, counts=Counts(3, 3, 0)), CREATED).job
    assert not whole.partial


def test_an_error_field_does_not_mean_failure():
    error = Failure("already_exists", "already processed")
    done = advance(RUNNING, update(State.SUCCEEDED, error=error), CREATED).job
    assert (done.state, done.error) == (State.SUCCEEDED, error)


# --- our deadline, then the provider ------------------------------------------------------


@pytest.mark.parametrize("state", FINALS)
def test_the_provider_may_update_a_job_after_our_deadline(state: State):
    late, steps = run([deadline(), update(state, LATE + 5)], LATE, RUNNING)
    provisional, final = emitted(steps)
    assert provisional[1:] == ("job.expired", True)
    assert final[1:] == (EVENT_OF_STATE[state], False)
    assert provisional[0] != final[0]
    assert (late.state, late.provisional, late.completion) == (state, False, final[0])
    assert late.previous_state is State.EXPIRED


def test_our_deadline_keeps_the_providers_status():
    expired = advance(RUNNING, deadline(), LATE).job
    assert (expired.state, expired.status, expired.provisional) == (State.EXPIRED, "on", True)
    assert expired.origin is Origin.DEADLINE


@pytest.mark.parametrize("origin", Origin)
def test_the_provider_has_a_job_by_its_pushes_and_polls(origin: Origin):
    """Not by our deadline, nor by what the caller tells of his submit call."""
    heard = replace(update(State.QUEUED, LATE), origin=origin)
    assert advance(job(), heard, LATE).job.seen is (origin in {Origin.PUSH, Origin.POLL})
    known = replace(job(), seen=True)
    assert advance(known, heard, LATE).job.seen


# --- re-runs ------------------------------------------------------------------------------


def test_a_higher_attempt_resets_the_job_and_its_deadline():
    now = CREATED + 50
    again = advance(SUCCEEDED, update(State.RUNNING, now, attempt=2), now)
    assert again.event == "job.started"
    assert (again.job.state, again.job.attempt) == (State.RUNNING, 2)
    assert again.job.deadline_at == now + DEADLINE
    assert (again.job.completion, again.job.finished_at, again.job.progress) == (None, None, None)
    assert again.job.sequence == SUCCEEDED.sequence + 1


def test_a_rerun_has_its_previous_state():
    again = advance(SUCCEEDED, update(State.RUNNING, CREATED + 50, attempt=2), CREATED + 50)
    assert again.job.previous_state is State.SUCCEEDED


def test_the_first_update_of_a_rerun_may_be_final():
    again = advance(SUCCEEDED, update(State.FAILED, attempt=4), CREATED)
    assert (again.event, again.job.attempt, again.job.state) == ("job.failed", 4, State.FAILED)
    assert again.job.completion != SUCCEEDED.completion


def test_a_push_without_a_number_does_not_reopen():
    assert advance(SUCCEEDED, update(State.RUNNING, CREATED + 9), CREATED + 9).ignored == "finished"


def test_the_end_has_the_providers_time_and_redis_time():
    done = advance(RUNNING, update(State.FAILED, CREATED + 500), CREATED + 7).job
    assert (done.finished_at, done.ended_at) == (CREATED + 500, CREATED + 7)
    assert advance(RUNNING, deadline(), LATE + 3).job.ended_at == LATE + 3
    assert advance(EXPIRED, update(State.FAILED, LATE - 50), LATE + 9).job.ended_at == LATE + 9
    again = advance(done, update(State.RUNNING, attempt=2), CREATED + 8).job
    assert (again.finished_at, again.ended_at) == (None, None)


def test_the_start_is_the_providers_time():
    queued = advance(job(), update(State.QUEUED, CREATED + 1), CREATED + 2).job
    running = advance(queued, update(State.RUNNING, CREATED + 3), CREATED + 4).job
    done = advance(running, update(State.SUCCEEDED, CREATED + 5), CREATED + 6).job
    assert [one.started_at for one in (queued, running, done)] == [None, CREATED + 3, CREATED + 3]
    at_once = advance(queued, update(State.SUCCEEDED, CREATED + 5), CREATED + 6).job
    assert at_once.started_at is None
    again = advance(done, update(State.RUNNING, CREATED + 7, attempt=2), CREATED + 8).job
    assert again.started_at == CREATED + 7
    requeued = advance(done, update(State.QUEUED, CREATED + 7, attempt=2), CREATED + 8).job
    assert requeued.started_at is None


def test_an_ignored_update_does_not_change_the_end():
    for late in (update(State.SUCCEEDED), update(State.FAILED), update(State.RUNNING)):
        assert advance(SUCCEEDED, late, CREATED + 60).job.ended_at == SUCCEEDED.ended_at == CREATED


def poll(state: State | None, at: float) -> StatusUpdate:
    return update(state, at, origin=Origin.POLL, reopens=True, poll_started_at=at)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_a_poll_started_after_the_end_reopens_if_the_profile_allows_it(state: State):
    again = advance(SUCCEEDED, poll(state, CREATED + 9), CREATED + 9).job
    assert (again.state, again.attempt) == (state, 2)


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_rerun_is_recognized_by_redis_clock(ahead: float):
    done = advance(RUNNING, update(State.SUCCEEDED, CREATED + ahead), CREATED + 5).job
    assert advance(done, poll(State.RUNNING, CREATED + 4), CREATED + 6).ignored == "finished"
    assert advance(done, poll(State.RUNNING, CREATED + 6), CREATED + 7).job.attempt == 2


@pytest.mark.parametrize(
    "late",
    [poll(State.RUNNING, CREATED), poll(State.RUNNING, CREATED - 1), poll(None, CREATED + 9)],
    ids=["begun as it ended", "begun before", "an unknown word"],
)
def test_a_poll_that_does_not_prove_a_rerun_does_not_reopen(late: StatusUpdate):
    assert advance(SUCCEEDED, late, CREATED + 9).ignored == "finished"


def test_a_poll_does_not_reopen_a_job_that_our_deadline_ended():
    assert advance(EXPIRED, poll(State.RUNNING, LATE + 9), LATE + 9).ignored == "expired"


# A provider whose re-runs carry no number may push when the last run ended.
FIRST, SECOND = CREATED + 10, CREATED + 60


def of_run(state: State, ended: float, at: float | None = None) -> StatusUpdate:
    """What is pushed of a run that ended then; at work, of the run after it."""
    return update(state, ended if at is None else at, run_ended_at=ended)


DONE_ONCE = advance(RUNNING, of_run(State.FAILED, FIRST), FIRST).job


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_a_push_with_the_end_of_the_last_run_reopens(state: State):
    again = advance(DONE_ONCE, of_run(state, FIRST, at=FIRST + 20), FIRST + 20).job
    assert (again.state, again.attempt, again.provisional) == (state, 2, False)
    assert again.deadline_at == FIRST + 20 + DEADLINE


def test_a_later_end_belongs_to_another_run():
    step = advance(DONE_ONCE, of_run(State.SUCCEEDED, SECOND), SECOND)
    assert (step.event, step.job.attempt, step.job.state) == ("job.succeeded", 2, State.SUCCEEDED)
    assert step.job.completion != DONE_ONCE.completion


@pytest.mark.parametrize(
    ("late", "ignored"),
    [
        (of_run(State.FAILED, FIRST), "duplicate"),
        (of_run(State.SUCCEEDED, FIRST), "conflict"),
        (of_run(State.SUCCEEDED, FIRST - 5), "conflict"),
        (of_run(State.RUNNING, FIRST - 5, at=FIRST + 99), "finished"),
        (update(State.RUNNING, FIRST + 99), "finished"),
        (update(None, FIRST + 99, run_ended_at=SECOND), "finished"),
    ],
    ids=[
        "the end again",
        "other words of it",
        "an earlier end",
        "an earlier re-run",
        "no end",
        "?",
    ],
)
def test_a_push_of_the_ended_run_does_not_reopen(late: StatusUpdate, ignored: str):
    step = advance(DONE_ONCE, late, FIRST + 99)
    assert (step.ignored, step.event, step.job.attempt) == (ignored, None, 1)


FEED = [
    update(State.RUNNING, CREATED + 1),
    of_run(State.FAILED, FIRST),
    of_run(State.QUEUED, FIRST, at=FIRST + 20),
    of_run(State.RUNNING, FIRST, at=FIRST + 25),
    of_run(State.SUCCEEDED, SECOND),
]


def test_the_last_run_decides_in_any_order_and_after_any_loss():
    last = FEED[-1]
    for size in range(len(FEED)):
        for some in itertools.combinations(FEED[:-1], size):
            for order in itertools.permutations((*some, last, last)):
                at, steps = run(order, now=SECOND)
                assert (at.state, at.finished_at) == (State.SUCCEEDED, SECOND)
                ids = [one for one, _, _ in emitted(steps)]
                assert len(ids) == len(set(ids)) <= 2


# --- names --------------------------------------------------------------------------------


def test_even_an_ignored_update_adds_aliases():
    step = advance(SUCCEEDED, update(State.RUNNING, aliases=("k2", "1", "k3")), CREATED)
    assert (step.ignored, step.job.aliases) == ("finished", ("k2", "k3"))


def test_a_job_has_a_maximum_of_aliases():
    names = [f"k{n}" for n in range(state_machine.MAX_ALIASES + 5)]
    at_once = advance(job(), update(State.RUNNING, aliases=tuple(names)), CREATED).job
    assert at_once.aliases == tuple(names[: state_machine.MAX_ALIASES])
    most = job(aliases=tuple(names[: state_machine.MAX_ALIASES - 1]))
    assert advance(most, update(State.RUNNING, aliases=tuple(names)), CREATED).job == replace(
        at_once, aliases=tuple(names[: state_machine.MAX_ALIASES])
    )
    full = job(aliases=tuple(names))  # an older version may have kept more
    assert (
        advance(full, update(State.RUNNING, aliases=("new",)), CREATED).job.aliases == full.aliases
    )


def test_any_update_adds_params_and_the_first_value_stays():
    first = advance(job(), update(State.RUNNING, params={"repo": "a"}), CREATED).job
    then = advance(first, update(State.RUNNING, params={"repo": "b", "run": "7"}), CREATED).job
    assert (first.params, then.params) == ({"repo": "a"}, {"repo": "a", "run": "7"})
    assert advance(then, update(State.RUNNING), CREATED).job.params == then.params


def test_of_two_updates_with_the_same_time_the_later_arrival_counts():
    first = advance(job(), update(State.RUNNING, CREATED + 1, status="a"), CREATED + 2).job
    step = advance(first, update(State.RUNNING, CREATED + 1, status="b"), CREATED + 2)
    assert (step.job.status, step.ignored) == ("b", None)


def test_progress_is_emitted_again_after_a_second():
    was = job(state=State.RUNNING, progressed_at=CREATED)
    for later, event in ((PROGRESS_EVENTS_APART, "job.progressed"), (0.999, None)):
        assert advance(was, update(State.RUNNING, progress=0.5), CREATED + later).event == event


# --- the drawing --------------------------------------------------------------------------


def drawn() -> set[tuple[str, str]]:
    """Every arrow of the drawing in the module's docstring."""
    text = (state_machine.__doc__ or "").split("\n\n")[1]
    finals = set(re.findall(r"\b(succeeded|failed|canceled|expired)\b", text.splitlines()[0]))
    assert finals == set(FINALS)
    assert re.search(r"queued ──▶ running ──▶ succeeded", text)
    assert re.search(r"└─+┴─+▶ expired\s+by our deadline: provisional", text)
    assert re.search(r"expired \(ours\) ──▶ succeeded", text)
    return (
        {("queued", "running")}
        | {("running", final) for final in finals}
        | {("queued", "ours"), ("running", "ours")}
        | {("ours", final) for final in finals}
    )


def reached(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Every state that the drawing leads to, also if updates in between are lost."""
    found = set(arrows)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


def test_the_drawing_agrees_with_the_state_machine():
    starts = {"queued": job(), "running": RUNNING, "ours": EXPIRED} | {
        state.value: run([update(state)])[0] for state in FINALS
    }
    moves = set()
    for name, was in starts.items():
        for new in [*(update(state, LATE) for state in State), deadline()]:
            after = advance(was, new, LATE).job
            now = "ours" if after.provisional else after.state.value
            moves |= {(name, now)} - {(name, name)}
    assert moves == reached(drawn())


def test_the_ranks_are_as_documented():
    assert RANK.keys() == set(State)
    assert RANK[State.QUEUED] < RANK[State.RUNNING] < DEADLINE_RANK < RANK[State.SUCCEEDED]
    assert {RANK[state] for state in FINAL} == {RANK[State.SUCCEEDED]}


@pytest.mark.parametrize("far", [253402300799.0, CREATED + 302.0])
def test_a_time_from_the_future_does_not_win_forever(far: float):
    """Such a job may have been stored before they were refused."""
    frozen = job(state=State.RUNNING, status_at=far, progress=0.9)
    step = advance(frozen, update(State.RUNNING, CREATED + 1, progress=0.2), CREATED + 1)
    assert step.ignored is None
    assert (step.job.progress, step.job.status_at) == (0.2, CREATED + 1)
