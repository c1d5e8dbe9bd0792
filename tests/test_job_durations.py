"""How long jobs took: the last ones count."""

import pytest

from processor.job_durations import WINDOW, Durations


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


@pytest.mark.parametrize(("part", "age"), [(0, 1.5), (0.01, 1.5), (0.5, 3.5), (1, 4.5)])
def test_a_quantile_is_an_age_by_which_this_part_had_ended(part: float, age: float):
    assert observed((1, 2), (2, 3), (3, 4), (4, 5)).quantile(part) == age


def test_nothing_is_known_of_no_jobs():
    assert Durations().count == Durations().quantile(0.5) == 0
