"""Push loss: what counts as lost, when a source turns poll-first, and when it turns back."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from processor.push_loss import ENOUGH, GRACE, PushLoss

NOW = 1_000_000.0


def after(loss: PushLoss, ends: Iterable[bool], apart: float = 1.0) -> PushLoss:
    """After jobs that ended so many seconds apart, each of which lost its push or did not."""
    for n, lost in enumerate(ends):
        loss = loss.add(not lost, lost, [], NOW + n * apart)
    return loss


def judged(loss: PushLoss, now: float = NOW + GRACE) -> PushLoss:
    """Once every period is over."""
    return loss.add(0, 0, [], now + 2 * GRACE)


def share_of(loss: float, jobs: int, seed: int = 7) -> list[bool]:
    """Jobs of which this share lose their push."""
    drawn = random.Random(seed)
    return [drawn.random() < loss for _ in range(jobs)]


def test_a_push_that_comes_after_the_poll_is_not_lost():
    loss = PushLoss().add(0, 2, [], NOW).add(0, 0, [NOW], NOW + 1)
    assert (judged(loss).lost_ever, judged(loss).share) == (1, pytest.approx(0.5, abs=0.01))
    in_the_next_period = PushLoss().add(0, 1, [], NOW).add(0, 0, [NOW], NOW + GRACE)
    assert (judged(in_the_next_period).lost_ever, judged(in_the_next_period).arrived) == (0, 1)


def test_a_push_is_lost_once_the_grace_is_over_and_not_before():
    loss = PushLoss().add(0, 1, [], NOW)
    assert loss.add(0, 0, [], NOW + GRACE).lost_ever == 0
    assert loss.add(0, 0, [], NOW + GRACE).add(0, 0, [], NOW + 2 * GRACE).lost_ever == 1
    assert judged(loss).add(0, 0, [NOW], NOW + 3 * GRACE).arrived == 0  # too late


def test_until_jobs_have_shown_less_polls_do_not_count_on_pushes():
    assert PushLoss().factor == 1.0
    assert judged(after(PushLoss(), [False] * 9)).factor == pytest.approx(0.1, abs=0.01)
    assert judged(after(PushLoss(), [False] * 1000)).factor == pytest.approx(0.01, abs=0.001)


@pytest.mark.parametrize("apart", [0.05, 1.0, GRACE / 3, 24 * 3600.0])
@pytest.mark.parametrize("seed", range(5))
def test_it_turns_at_thirty_percent_and_back_when_pushes_return(apart: float, seed: int):
    lossy = judged(after(PushLoss(), share_of(0.3, 300, seed), apart), NOW + 300 * apart)
    assert lossy.poll_first
    assert lossy.factor == 1.0
    healed = lossy
    for n in range(250):
        healed = healed.add(1, 0, [], NOW + 3 * GRACE + (300 + n) * apart)
    assert not judged(healed, NOW + 3 * GRACE + 550 * apart).poll_first


@pytest.mark.parametrize("seed", range(20))
def test_a_source_that_loses_few_pushes_never_turns(seed: int):
    """The rate does not matter: whether a period has ten jobs or ten thousand."""
    for apart in (0.01, 30.0):
        loss = PushLoss()
        for n, lost in enumerate(share_of(0.02, 2000, seed)):
            loss = loss.add(not lost, lost, [], NOW + n * apart)
            assert not loss.poll_first


def test_between_the_limits_it_stays_as_it_is():
    some = [*share_of(0.1, 500)]
    assert not judged(after(PushLoss(), some)).poll_first
    assert judged(after(PushLoss(poll_first=True), some)).poll_first


def test_few_jobs_decide_nothing():
    assert not judged(after(PushLoss(), [True] * (int(ENOUGH) - 1))).poll_first
    assert judged(after(PushLoss(), [True] * 30)).poll_first


def test_a_clock_that_is_set_back_stops_nothing():
    loss = PushLoss().add(0, 30, [], NOW).add(0, 0, [], NOW - 1e6).add(0, 0, [], NOW - 1e6 + GRACE)
    assert loss.lost_ever == 30


counts = st.tuples(
    st.integers(0, 50),
    st.integers(0, 50),
    st.lists(st.floats(0.0, 1e6), max_size=5),
    st.floats(0.0, 1e6),
)


@given(st.lists(counts, max_size=30))
def test_whatever_comes_the_share_is_a_share(steps: list[tuple[int, int, list[float], float]]):
    loss = PushLoss()
    for pushed, polled, late, now in steps:
        loss = loss.add(pushed, polled, late, now)
        assert 0.0 <= loss.share <= 1.0
        assert 0.0 < loss.factor <= 1.0
        assert min(loss.present.missing, loss.last.missing, loss.arrived, loss.lost) >= 0
        assert loss.jobs <= 100.0 + 1e-6
