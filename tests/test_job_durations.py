"""How long jobs took: the last ones count, whatever a list in Redis contains."""

import pytest
from hypothesis import given, strategies as st

from processor import job_durations
from processor.job_durations import WINDOW, Durations, merge, observation, read

ages = st.floats(0, 1e7)
ends = st.tuples(ages, ages).map(lambda pair: (min(pair), max(pair)))


def observed(*found: tuple[float, float]) -> Durations:
    durations = Durations()
    for after, until in found:
        durations = durations.observe(after, until)
    return durations


def test_the_newest_job_is_first_and_old_ones_are_forgotten():
    durations = observed(*((n, n + 1) for n in range(WINDOW + 50)))
    assert durations.count == WINDOW
    assert durations.ends[0] == (WINDOW + 49, WINDOW + 50)
    assert durations.ends[-1] == (50, 51)


@given(st.lists(ends, max_size=30))
def test_a_list_in_redis_is_read_as_it_was_written(found: list[tuple[float, float]]):
    elements = [observation(after, until) for after, until in found]
    assert read(elements).ends == tuple(
        (pytest.approx(after, abs=1e-3), pytest.approx(until, abs=1e-3)) for after, until in found
    )


@pytest.mark.parametrize(
    "element", [b"", b"1", b"1 2 3", b"x y", b"2 1", b"-1 2", b"nan nan", b"1 inf", b"\xff \xff"]
)
def test_an_element_that_is_no_observation_is_left_out(element: bytes):
    assert read([b"1 2", element]).ends == ((1, 2),)


def test_a_list_that_is_too_long_is_cut():
    assert read([b"1 2"] * 1000).count == WINDOW


def test_shards_are_merged_newest_first():
    first, second = observed((3, 3), (2, 2), (1, 1)), observed((9, 9))
    assert merge([first, Durations(), second]).ends == ((1, 1), (9, 9), (2, 2), (3, 3))
    assert merge([observed((1, 1))] * 1000).count == WINDOW


@pytest.mark.parametrize(("part", "age"), [(0, 1.5), (0.01, 1.5), (0.5, 3.5), (1, 4.5)])
def test_a_quantile_is_an_age_by_which_this_part_had_ended(part: float, age: float):
    assert observed((1, 2), (2, 3), (3, 4), (4, 5)).quantile(part) == age


def test_nothing_is_known_of_no_jobs():
    assert Durations().count == Durations().quantile(0.5) == 0


def test_the_map_says_what_a_script_trims():
    assert f"0, {WINDOW - 1})" in (job_durations.__doc__ or "")
