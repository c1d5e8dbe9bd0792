"""The simulation of poll schedules: its yardstick is right, and its pictures show what it found."""

import random
import xml.etree.ElementTree as ET

import pytest

from bench import polling
from bench.best_polls import Bounds, best, yardstick
from bench.poll_shapes import SHAPES, Cost, Truth, doubled
from processor.poll_schedule import PollSchedule

# ½(∫S√h)² by ½E[T], worked out with pencil and paper or from samples
LIMITS = {
    "near-constant, 5 %": 0.10,
    "log-normal, sigma 0.2": 0.37,
    "log-normal, sigma 0.3": 0.51,
    "log-normal, sigma 0.5": 0.73,
    "log-normal, sigma 0.8": 0.92,
    "Pareto, 1.5": 0.50,
    "Weibull, 3": 0.68,
    "exponential": 1.0,
}
MEMORYLESS = SHAPES["exponential"]


@pytest.mark.parametrize(("name", "part"), LIMITS.items())
def test_the_limit_is_this_part_of_the_best_fixed_interval(name: str, part: float) -> None:
    truth = Truth(SHAPES[name])
    assert truth.limit / (truth.mean / 2) == pytest.approx(part, abs=0.01)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shapes_table_agrees_with_what_is_drawn(name: str) -> None:
    rng, truth = random.Random(1), Truth(SHAPES[name])
    drawn = [SHAPES[name].draw(rng) for _ in range(4000)]
    for age in (25.0, 110.0, 300.0, 700.0):
        longer = sum(one > age for one in drawn) / len(drawn)
        assert truth.at(age)[0] == pytest.approx(longer, abs=0.03)
    assert Truth(doubled(SHAPES[name])).age_at(0.5) == pytest.approx(
        2 * truth.age_at(0.5), rel=0.01
    )


def test_a_fixed_interval_costs_what_is_known() -> None:
    truth = Truth(MEMORYLESS)
    cost = truth.cost(5.0, lambda _: 5.0 / 0.95, random.Random(1))
    assert cost.polls == pytest.approx(60, rel=0.03)
    assert cost.delay == pytest.approx(2.5, rel=0.03)


def test_where_nothing_binds_the_yardstick_is_near_the_limit() -> None:
    truth = Truth(MEMORYLESS)
    found = best(truth, Bounds((1.0, 60.0), 1.0), weight=16.0)
    assert found.polls * found.delay == pytest.approx(truth.limit, rel=0.03)


def test_the_yardstick_is_better_than_the_profiles_schedule() -> None:
    bounds, truth = Bounds((5.0, 60.0), 5.0), Truth(SHAPES["Weibull, 3"])
    profile = PollSchedule(bounds.every, bounds.after)
    cost = truth.cost(profile.first, profile.gap, random.Random(1))
    assert 0.3 < yardstick(truth, bounds, cost.delay) / cost.polls < 0.9


def test_the_figures_are_held_against_what_is_promised() -> None:
    one = polling.Row(
        "Pareto, 1.5",
        limit=0.5,
        profile=Cost(125.0, 2.5),
        bound=30.0,
        best=30.3,
        learnt=Cost(32.0, 2.7),
        tenths=(27.0, 32.0, 38.0),
        ratio=1.5,
        exact=1.1,
        early=Cost(150.0, 2.5),
        doubled=1.2,
    )
    assert "32.0 [27 to 38], 2.70 s" in polling.table([one])
    assert [claim.held for claim in polling.claims([one])] == [True, True, False]


def test_the_pictures_show_what_is_learnt() -> None:
    cost, gaps = polling.run(polling.DRAWN, 0), polling.run(polling.DRAWN_GAPS, 0)
    for picture in (polling.drawn([cost], Cost(148.0, 3.0)), polling.drawn_gaps([gaps])):
        assert "learnt" in "".join(ET.fromstring(picture).itertext())  # noqa: S314 - our own


def test_progress_pushes_and_etas_save_polls() -> None:
    found = polling.hints(0)
    assert max(found.progress.polls, found.eta.polls, found.rarer.polls) < 0.6 * found.alone.polls
    assert "progress" in polling.hint_table([found])
