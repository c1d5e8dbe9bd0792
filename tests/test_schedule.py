"""Poll intervals and the retry schedule: the promised times, with jitter only."""

import itertools
from typing import get_args

import pytest
from hypothesis import given, strategies as st

from processor import schedule
from processor.provider import PollFailureKind
from processor.schedule import next_attempt, poll_interval, poll_pause, source_pause

# Standard Webhooks 1.0.0, "Retry schedule": immediately, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h,
# 14 h, 20 h, 24 h.
STANDARD = [0, 5, 5 * 60, 30 * 60, *(h * 3600 for h in (2, 5, 10, 14, 20, 24))]

NOW = 1_000_000.0
DAY = 86_400.0

chances = st.floats(0, 1, exclude_max=True)
everies = st.tuples(st.floats(0.1, 100), st.floats(0, 1000)).map(lambda e: (e[0], e[0] + e[1]))


# --- work that needs another configuration -------------------------------------------------


@given(st.floats(0, 2 * schedule.MAX_UNKNOWN_PAUSE))
def test_once_its_source_is_known_work_waits_for_half_of_its_age_or_a_second_at_most(age: float):
    assert schedule.unknown_pause(age) == max(age / 2, 1.0)


@given(st.floats(2 * schedule.MAX_UNKNOWN_PAUSE, allow_nan=False))
def test_old_work_whose_source_is_not_known_is_tried_each_minute(age: float):
    assert schedule.unknown_pause(age) == schedule.MAX_UNKNOWN_PAUSE


def test_work_of_a_time_to_come_waits_for_a_second():
    """A provider's clock may be ahead."""
    assert schedule.unknown_pause(-5.0) == schedule.UNKNOWN_PAUSE


# --- deliveries ---------------------------------------------------------------------------


def test_the_schedule_is_that_of_standard_webhooks():
    assert list(schedule.RETRY_DELAYS) == STANDARD
    assert sum(STANDARD) / 3600 == pytest.approx(75.6, abs=0.05)  # over three days


@pytest.mark.parametrize(("attempts_made", "pause"), list(enumerate(STANDARD)))
@given(random_unit=chances)
def test_an_attempt_is_scheduled_within_a_fifth_of_its_delay(
    attempts_made: int, pause: float, random_unit: float
):
    at = next_attempt(attempts_made, NOW, random_unit, None)
    assert at is not None
    assert 0.8 * pause - 1e-6 <= at - NOW <= 1.2 * pause + 1e-6


def test_jitter_uses_the_whole_fifth():
    early, late = (next_attempt(1, NOW, random_unit, None) for random_unit in (0.0, 1 - 1e-9))
    assert (early, late) == (NOW + 4, pytest.approx(NOW + 6, abs=1e-6))


@pytest.mark.parametrize("attempts_made", [10, 11, 1000])
def test_there_are_at_most_ten_attempts(attempts_made: int):
    assert next_attempt(attempts_made, NOW, 0.5, None) is None
    assert next_attempt(attempts_made, NOW, 0.5, 10.0) is None


RETRY_AFTER = [
    ("longer than the schedule", 1, 60.0, 60.0),
    ("shorter than the schedule", 2, 10.0, 300.0),
    ("none", 1, None, 5.0),
    ("nothing", 1, 0.0, 5.0),
    ("negative", 1, -60.0, 5.0),
    ("a day", 1, DAY, DAY),
    ("a year: no more than a day", 1, 365 * DAY, DAY),
]


@pytest.mark.parametrize(
    ("attempts_made", "asked", "pause"),
    [r[1:] for r in RETRY_AFTER],
    ids=[r[0] for r in RETRY_AFTER],
)
def test_retry_after_extends_and_is_clamped(attempts_made: int, asked: float | None, pause: float):
    assert next_attempt(attempts_made, NOW, 0.5, asked) == NOW + pause


@given(st.integers(0, 9), chances, st.none() | st.floats(0, 10 * DAY))
def test_retry_after_never_brings_an_attempt_forward(
    attempts_made: int, random_unit: float, asked: float | None
):
    at, unasked = (
        next_attempt(attempts_made, NOW, random_unit, asked),
        next_attempt(attempts_made, NOW, random_unit, None),
    )
    assert at is not None
    assert unasked is not None
    assert unasked <= at <= NOW + max(DAY, 1.2 * STANDARD[attempts_made] + 1e-6)


# --- polls --------------------------------------------------------------------------------


@given(st.floats(0, 1e7), everies, chances)
def test_a_poll_is_late_by_two_percent_of_the_age_or_by_the_first_interval(
    age: float, every: tuple[float, float], random_unit: float
):
    interval = poll_interval(age, every, random_unit)
    assert interval <= max(every[0], 0.02 * age)
    assert 0.9 * every[0] <= interval <= every[1]


@given(st.floats(0, 1e6), st.floats(0, 1e6), everies, chances)
def test_the_interval_never_falls_with_age(
    one: float, two: float, every: tuple[float, float], random_unit: float
):
    young, old = sorted((one, two))
    assert poll_interval(young, every, random_unit) <= poll_interval(old, every, random_unit)


BLUESKY = (1.5, 10.0)  # what providers/bluesky.toml says
AGES = [(0, 1.5), (75, 1.5), (100, 2.0), (300, 6.0), (500, 10.0), (1e6, 10.0)]


@pytest.mark.parametrize(("age", "interval"), AGES)
def test_the_docstrings_example_holds(age: float, interval: float):
    assert poll_interval(age, BLUESKY, 0.0) == pytest.approx(interval)
    assert poll_interval(age, BLUESKY, 0.999) == pytest.approx(0.9 * interval, rel=0.01)


def test_the_pause_after_failed_polls_doubles_up_to_five_minutes():
    pauses = [poll_pause(failures, 1.0, None) for failures in range(1, 12)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300]


@given(st.integers(1, 10_000), st.floats(0, 1e4), st.none() | st.floats(0, DAY))
def test_the_pause_after_a_failed_poll_is_at_least_the_interval_and_retry_after_up_to_5_min(
    failures: int, interval: float, asked: float | None
):
    pause = poll_pause(failures, interval, asked)
    counted = min(asked or 0.0, schedule.MAX_FAILURE_PAUSE)
    assert pause >= max(interval, counted, schedule.FAILURE_PAUSE)
    assert pause <= max(interval, schedule.MAX_FAILURE_PAUSE)


SOURCE_PAUSES = [
    ("throttled", None, schedule.THROTTLED_PAUSE),
    ("throttled", 0.0, 1.0),
    ("throttled", 17.0, 17.0),
    ("unauthorized", None, schedule.UNAUTHORIZED_PAUSE),
    ("unauthorized", 5.0, schedule.UNAUTHORIZED_PAUSE),
    ("outdated", None, 0.0),
    ("failed", 5.0, None),
    ("missing", None, None),
    ("gone", None, None),
]


@pytest.mark.parametrize(("trouble", "asked", "pause"), SOURCE_PAUSES)
def test_only_account_wide_failures_pause_the_source(
    trouble: str, asked: float | None, pause: float | None
):
    assert source_pause(trouble, asked) == pause


def test_every_poll_failure_is_in_the_table():
    assert {row[0] for row in SOURCE_PAUSES} == set(get_args(PollFailureKind))


def test_the_schedule_only_grows():
    assert all(a <= b for a, b in itertools.pairwise(schedule.RETRY_DELAYS))


# Subscribers that fail ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure_score", "status", "retry_after", "pause"),
    [
        (0, 500, None, None),
        (4, None, None, None),
        (5, None, None, 5),
        (6, 500, None, 10),
        (10, None, None, 160),
        (0, 429, 30, 30),
        (0, 503, 7_200, 3_600),
        (0, 502, 10, 10),
        (0, 504, 10, 10),
        (0, 500, 30, None),  # it puts this delivery off, not all
        (0, 400, 30, None),
        (6, 429, 3, 10),
    ],
)
def test_a_subscriber_is_paused_by_its_failure_score_or_retry_after(
    failure_score: int, status: int | None, retry_after: float | None, pause: float | None
) -> None:
    assert schedule.subscriber_pause(failure_score, status, retry_after) == pause


def test_after_a_pause_the_capacity_comes_back_in_steps() -> None:
    found, failure_score = [], schedule.MAX_FAILURE_SCORE
    while failure_score:
        found.append(schedule.capacity(256, failure_score))
        failure_score //= 2
    assert [*found, schedule.capacity(256, 0)] == [1, 8, 64, 128, 256]


@pytest.mark.parametrize(
    ("days", "failures", "gone"), [(5, 20, True), (5, 19, False), (4.9, 900, False), (60, 21, True)]
)
def test_a_subscriber_is_disabled_after_five_days_and_twenty_failures(
    days: float,
    failures: int,
    gone: bool,  # noqa: FBT001
) -> None:
    now = 1e9
    assert schedule.should_disable(now - days * 86_400, failures, now) is gone
