"""The limit of bytes in flight: which bodies are evicted."""

import math

from processor.web.body_budget import SMALL_BODY, Body, BodyBudget

MIB = 1024 * 1024


class Line:
    """A connection for tests."""

    def evict(self) -> None:
        """Nothing to close."""


def body(address: str = "a") -> Body:
    return Body(Line(), address)


def filled(budget: BodyBudget, count: int, *addresses: str, now: float = 0.0) -> list[Body]:
    made = [body(address) for address in addresses]
    for one in made:
        assert budget.arrived(one, count, now) == []
    return made


def test_no_body_is_evicted_below_the_limit() -> None:
    budget = BodyBudget(total=4 * MIB, address=4 * MIB)
    filled(budget, MIB, *"abcd")
    assert budget.total == 4 * MIB


def test_the_slowest_body_is_evicted_first() -> None:
    budget = BodyBudget(total=4 * MIB, address=4 * MIB)
    slow, *others = filled(budget, MIB, *"abcd")
    for one in others:
        one.arrived(0, 0.4)
    slow.rate /= 2
    assert budget.arrived(body("e"), 1, 0.4) == [slow]


def test_a_stalled_body_is_slower_than_any_other() -> None:
    budget = BodyBudget(total=4 * MIB, address=4 * MIB)
    fast, *others = filled(budget, MIB, *"abcd")
    for one in others:
        one.rate, one.received_at = 20_000.0, 0.6
    assert budget.arrived(body("e"), 1, 0.6) == [fast]


def test_evicted_bodies_are_not_counted() -> None:
    """Otherwise every further byte would cause a search."""
    budget = BodyBudget(total=MIB, address=MIB)
    filled(budget, MIB, "a")
    late = body("b")
    assert len(budget.arrived(late, 100_000, 1.0)) == 1
    assert budget.total == 100_000
    assert budget.arrived(late, 100_000, 1.0) == []


def test_a_finished_body_is_never_evicted() -> None:
    budget = BodyBudget(total=2 * MIB, address=2 * MIB)
    whole, late = filled(budget, MIB, "a", "b")
    assert budget.finish(whole, 0, 1.0) == []
    assert budget.arrived(body("c"), 1, 60.0) == [late]
    newest = body("d")
    assert budget.arrived(newest, MIB, 61.0)[-1] is newest  # no other body is left
    assert whole.held == MIB


def test_a_body_that_arrives_at_once_counts_as_others_do() -> None:
    budget = BodyBudget(total=2 * MIB, address=2 * MIB)
    (slow,) = filled(budget, MIB, "a")
    assert budget.finish(body("b"), MIB, 1.0) == []
    assert budget.finish(body("c"), 1, 60.0) == [slow]
    refused = body("d")
    assert budget.finish(refused, MIB, 61.0) == [refused]  # no unfinished body is left to close
    assert budget.total == MIB + 1


def test_small_bodies_are_evicted_last() -> None:
    budget = BodyBudget(total=2 * MIB, address=2 * MIB)
    (small,) = filled(budget, SMALL_BODY - 1, "a")
    large, _ = filled(budget, MIB - SMALL_BODY, "b", "c", now=100.0)
    late = body("d")
    assert small not in budget.arrived(late, MIB, 200.0)
    assert large.held == 0


def test_an_address_over_its_limit_loses_its_own_bodies() -> None:
    budget = BodyBudget(total=4 * MIB, address=MIB)
    filled(budget, MIB // 4, *"bbcc")
    theirs = filled(budget, MIB // 4, *"aaaa", now=9.0)
    given = budget.arrived(body("a"), 1, 10.0)
    assert given
    assert set(given) <= set(theirs)


def test_waiting_for_us_does_not_count_as_slow() -> None:
    budget = BodyBudget(total=2 * MIB, address=2 * MIB)
    ours, silent = filled(budget, MIB, "a", "b")
    ours.paused = True
    assert budget.arrived(body("c"), 1, 3.0) == [silent]
    ours.resumed(3.0)
    assert math.isclose(ours.speed(3.0), MIB)
    assert ours.speed(6.0) < ours.speed(3.0) / 10


def test_released_bytes_are_free_again() -> None:
    budget = BodyBudget(total=2 * MIB, address=2 * MIB)
    bodies = filled(budget, MIB, "a", "b")
    budget.finish(bodies[0], 0, 1.0)
    for one in [*bodies, *bodies]:
        budget.release(one)
    assert budget.total == 0
    filled(budget, MIB, "a", "b")
