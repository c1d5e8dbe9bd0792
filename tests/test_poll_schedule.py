"""The learnt poll schedule: its bounds always hold, and it polls where jobs end."""

import math
import random

import pytest
from hypothesis import example, given, strategies as st

from processor.job_durations import WINDOW, Durations
from processor.poll_schedule import (
    FIRST_ENDED,
    MAX_FIRST,
    MAX_GAP,
    PollSchedule,
    needed,
    remaining_time,
)
from processor.schedule import poll_interval

EVERY = (1.0, 60.0)
AFTER = 1.0
SAME = Durations(((300.0, 300.0),) * WINDOW)
ages = st.floats(0, 1e5)
ends = st.tuples(ages, ages).map(lambda pair: (min(pair), max(pair))) | ages.map(lambda a: (a, a))
durations = st.lists(ends, max_size=20).map(lambda found: Durations(tuple(found)))
everies = st.tuples(st.floats(0.1, 300), st.floats(0, 1000)).map(lambda e: (e[0], e[0] + e[1]))
parts = st.floats(0, 1)


def lasting(shape, jobs: int = WINDOW) -> Durations:
    """Jobs whose ends are known exactly, as a function of a random generator draws them."""
    rng = random.Random(7)
    return Durations(tuple((t, t) for t in (shape(rng) for _ in range(jobs))))


def steady(rng: random.Random) -> float:
    return 300 * math.exp(rng.gauss(0, 0.05))


def two_peaks(rng: random.Random) -> float:
    return rng.choice((30, 600)) * math.exp(rng.gauss(0, 0.2))


def memoryless(rng: random.Random) -> float:
    return rng.expovariate(1 / 300)


def walked(polled: PollSchedule, duration: float) -> tuple[int, float]:
    """How many polls find the end of a job, and how late."""
    age, polls = polled.first, 1
    while age < duration:
        age, polls = age + polled.gap(age), polls + 1
    return polls, age - duration


def mean(polled: PollSchedule, jobs: Durations) -> tuple[float, float]:
    found = [walked(polled, until) for _, until in jobs.ends]
    return sum(polls for polls, _ in found) / len(found), sum(d for _, d in found) / len(found)


# --- bounds -------------------------------------------------------------------------------


@given(
    durations=durations,
    every=everies,
    loss=parts,
    age=ages,
    remaining=st.none() | st.floats(0),
)
@example(durations=Durations(((0.0, 0.0),)), every=(0.1, 0.1), loss=0, age=0, remaining=0)
@example(durations=Durations(((0.0, 0.5),)), every=(1.0, 1.0), loss=1, age=0, remaining=0)
@example(durations=SAME, every=EVERY, loss=1, age=300, remaining=math.inf)
def test_a_gap_is_never_below_the_first_interval_nor_above_the_bound(
    durations: Durations,
    every: tuple[float, float],
    loss: float,
    age: float,
    remaining: float | None,
):
    gap = PollSchedule.learn(durations, every, AFTER, loss=loss).gap(age, remaining=remaining)
    assert every[0] <= gap <= max(every[1], MAX_GAP * age)


@given(durations, everies, st.floats(0, 1000), parts)
def test_the_first_delay_is_the_profiles_or_longer_within_its_bounds(
    jobs: Durations, every: tuple[float, float], after: float, loss: float
):
    first = PollSchedule.learn(jobs, every, after, loss=loss).first
    shortest = sorted(until for _, until in jobs.ends)[: max(1, math.ceil(FIRST_ENDED * 20))]
    assert after <= first <= max(after, min(MAX_FIRST, max(shortest, default=0.0)), every[0])


@given(ages, everies, st.floats(0, 1000))
def test_without_durations_the_schedule_is_the_profiles(
    age: float, every: tuple[float, float], after: float
):
    polled = PollSchedule.learn(Durations(), every, after)
    assert polled.first == after
    assert polled.gap(age) == pytest.approx(poll_interval(age, every, 0.0))


@given(durations, everies, ages, parts)
def test_polls_are_rarer_where_pushes_arrive(
    jobs: Durations, every: tuple[float, float], age: float, loss: float
):
    alone = PollSchedule.learn(jobs, every, 0.0).gap(age)
    assert PollSchedule.learn(jobs, every, 0.0, loss=loss).gap(age) >= alone * (1 - 1e-6)


# --- what is learnt -----------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "saved"), [(steady, 0.9), (two_peaks, 0.6), (memoryless, 0.4)])
def test_fewer_polls_find_the_ends_as_promptly(shape, saved: float):
    jobs = lasting(shape)
    polls, delay = mean(PollSchedule.learn(jobs, EVERY, AFTER), jobs)
    profile_polls, profile_delay = mean(PollSchedule(EVERY, AFTER), jobs)
    assert polls < (1 - saved) * profile_polls
    assert delay < 1.1 * profile_delay


def test_a_steady_job_is_first_polled_when_it_may_be_done():
    polled = PollSchedule.learn(lasting(steady), EVERY, AFTER)
    assert 250 < polled.first < 280
    assert polled.gap(290) < 10
    assert polled.gap(100) > 50


def test_between_two_peaks_polls_are_rare():
    polled = PollSchedule.learn(lasting(two_peaks), EVERY, AFTER)
    assert polled.gap(150) > 5 * max(polled.gap(30), polled.gap(600))


def test_jobs_that_all_take_the_same_time_are_found_at_once():
    polls, delay = walked(PollSchedule.learn(SAME, EVERY, AFTER), 300.0)
    assert polls <= 4
    assert delay < 10


def test_jobs_that_became_shorter_are_polled_earlier_soon():
    """Ends before the first poll say little, and yet draw it nearer."""
    rng = random.Random(7)
    jobs = lasting(steady)
    polled = PollSchedule(EVERY, AFTER)
    for number in range(WINDOW):
        if number % 10 == 0:
            polled = PollSchedule.learn(jobs, EVERY, AFTER)
        took, age, last = steady(rng) / 3, polled.first, 0.0
        while age < took:
            age, last = age + polled.gap(age), age
        jobs = jobs.observe(last, age)
    polls, delay = mean(
        PollSchedule.learn(jobs, EVERY, AFTER), lasting(lambda rng: steady(rng) / 3)
    )
    assert delay < 3
    assert polls < 20


def test_a_few_jobs_change_the_schedule_a_little():
    one = PollSchedule.learn(lasting(steady, 1), EVERY, AFTER)
    for age in (5.0, 50.0, 500.0):
        assert one.gap(age) < 1.1 * poll_interval(age, EVERY, 0.0)


# --- pushes, progress ---------------------------------------------------------------------


def test_a_push_that_is_overdue_makes_polls_frequent():
    jobs = lasting(steady)
    alone, pushed = (PollSchedule.learn(jobs, EVERY, AFTER, loss=loss) for loss in (1.0, 0.01))
    assert pushed.gap(290) > 3 * alone.gap(290)
    assert pushed.gap(340) < 2 * alone.gap(340)


@pytest.mark.parametrize(
    ("loss", "running", "part"),
    [(1, 0.5, 1), (0, 0.5, 0), (0, 0, 1), (0.25, 1, 0.5), (0.25, 0, 1), (1, 1, 1)],
)
def test_how_much_a_poll_is_needed(loss: float, running: float, part: float):
    assert needed(loss, running) == part


@pytest.mark.parametrize("jobs", [Durations(), lasting(memoryless)], ids=["unknown", "learnt"])
def test_what_the_provider_says_stretches_or_tightens_a_gap(jobs: Durations):
    polled = PollSchedule.learn(jobs, EVERY, AFTER)
    assert polled.gap(100, remaining=300) > 2 * polled.gap(100)
    assert polled.gap(1000, remaining=0) == poll_interval(1000, EVERY, 0.0)


def test_few_polls_lead_to_the_end_that_the_provider_says():
    polled, age, polls = PollSchedule.learn(Durations(), EVERY, AFTER), AFTER, 1
    while age < 300:
        age, polls = age + polled.gap(age, remaining=300 - age), polls + 1
    assert age - 300 < 6
    assert polls < 0.2 * walked(polled, 300)[0]


@pytest.mark.parametrize(
    ("progress", "left"),
    [(None, None), (0.0, None), (-1.0, None), (1.1, None), (0.25, 300.0), (1.0, 0.0)],
)
def test_the_remaining_time_is_extrapolated_from_the_progress(
    progress: float | None, left: float | None
):
    assert remaining_time(100.0, progress) == left
