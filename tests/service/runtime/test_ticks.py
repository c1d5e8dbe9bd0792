"""The pauses of periodic tasks end at the ticks of their process."""

from hypothesis import given
from hypothesis.strategies import floats

from processor.service.runtime.ticks import EARLY, TICK, until_tick

NOW = floats(0.0, 1e6)


@given(NOW, floats(0.0, TICK, exclude_max=True))
def test_a_pause_of_less_than_a_tick_is_exact(now: float, seconds: float) -> None:
    assert until_tick(now, seconds) == seconds


@given(NOW, floats(TICK, 60.0))
def test_a_longer_pause_ends_at_the_last_tick_within_it(now: float, seconds: float) -> None:
    pause = until_tick(now, seconds)
    assert seconds - TICK < pause <= seconds + EARLY
    assert abs((now + pause) / TICK - round((now + pause) / TICK)) < 1e-3


@given(NOW, floats(0.0, TICK / 2))
def test_tasks_of_one_interval_wake_together_whenever_they_began(now: float, late: float) -> None:
    first = now + until_tick(now, 1.0)
    second = now + late + until_tick(now + late, 1.0)
    assert min(abs(first - second), abs(first + TICK - second)) < 1e-6


@given(floats(0.0, 1e6), floats(0.0, EARLY * 0.9))
def test_a_timer_that_is_early_does_not_wake_its_task_twice(tick: float, early: float) -> None:
    now = tick // TICK * TICK - early
    assert until_tick(now, TICK) > TICK - EARLY
