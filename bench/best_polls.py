"""The best discrete poll schedule for a distribution that is known, by dynamic programming.

It keeps the same bounds as ours (floor, cap, jitter, first delay), and is the yardstick for what a
schedule that has to learn reaches. Backwards over the ages, each age gets the gap with the least
expected polls and `weight` times the delay; the weight is then chosen to give the wanted delay.
"""

import math
from typing import NamedTuple

from bench.poll_shapes import JITTER, Cost, Truth
from processor.poll_schedule import FIRST_ENDED, MAX_FIRST, MAX_GAP

STEP = 0.004  # the ages of the table differ by this part
GAPS = 1.06  # gaps that are tried lie this factor apart
JITTERS = [1 - JITTER * (n + 0.5) / 3 for n in range(3)]  # as good as all values between
ROUNDS = 8
CLOSE = 0.004  # part of the delay


class Bounds(NamedTuple):
    """A profile's numbers."""

    every: tuple[float, float]
    after: float

    def longest(self, age: float) -> float:
        """Return the longest gap at an age."""
        return max(self.every[1], MAX_GAP * age)

    def latest_first(self, truth: Truth) -> float:
        """Return the longest first delay."""
        return max(self.after, min(MAX_FIRST, truth.age_at(FIRST_ENDED)))


def best(truth: Truth, bounds: Bounds, weight: float) -> Cost:
    """Return the least cost, where a second of delay counts as much as `weight` polls."""
    start, last = bounds.every[0], truth.ages[-1]
    count = int(math.log(last / start) / STEP)
    ages = [start * math.exp(n * STEP) for n in range(count + 1)]
    state = [truth.at(age) for age in ages]
    rest = [Cost(0.0, 0.0)] * (count + 1)  # what follows a poll at each age, by all jobs' number
    for n in range(count - 1, -1, -1):
        options = (after(n, gap, ages, state, rest) for gap in gaps(bounds, ages[n]))
        rest[n] = min(options, key=lambda cost: cost.polls + weight * cost.delay)
    latest = bounds.latest_first(truth)
    firsts = [
        Cost(1 + rest[n].polls, rest[n].delay + ages[n] - state[n][1])
        for n in range(count)
        if bounds.after * (1 - STEP) <= ages[n] <= latest * (1 + STEP)
    ]
    return min(firsts, key=lambda cost: cost.polls + weight * cost.delay)


def gaps(bounds: Bounds, age: float) -> list[float]:
    """Return the gaps to try at an age."""
    low, high = bounds.every[0], bounds.longest(age)
    steps = math.ceil(math.log(high / low, GAPS)) if high > low else 0
    return [low * (high / low) ** (n / steps) for n in range(steps + 1)] if steps else [low]


def after(
    n: int,
    gap: float,
    ages: list[float],
    state: list[tuple[float, float]],
    rest: list[Cost],
) -> Cost:
    """Return the cost from age number `n` on, if the next poll is a gap later, less jitter."""
    (running, lived), polls, delay, last = state[n], 0.0, 0.0, len(ages) - 1
    for part in JITTERS:
        wait = gap * part
        place = min(math.log((ages[n] + wait) / ages[0]) / STEP, last - 1e-9)
        low = int(place)
        share = place - low
        until = state[low][1] + share * (state[low + 1][1] - state[low][1])
        delay += running * wait - (until - lived)
        if low == n:  # what follows this age is not known yet
            low, share = n + 1, 0.0
        one, other = rest[low], rest[min(low + 1, last)]
        polls += one.polls + share * (other.polls - one.polls)
        delay += one.delay + share * (other.delay - one.delay)
    return Cost(running + polls / len(JITTERS), delay / len(JITTERS))


def yardstick(truth: Truth, bounds: Bounds, delay: float) -> float:
    """Return the least polls a job with which the end is found so late in the mean."""
    weight, slope, tried = truth.limit / delay**2, -0.5, list[tuple[float, Cost]]()
    for _ in range(ROUNDS):
        tried.append((weight, best(truth, bounds, weight)))
        off = math.log(tried[-1][1].delay / delay)
        if abs(off) < CLOSE:
            break
        if len(tried) > 1 and tried[-1][0] != tried[-2][0]:
            (one, before), (other, now) = tried[-2:]
            slope = min(-0.05, math.log(now.delay / before.delay) / math.log(other / one))
        weight *= math.exp(max(-2.0, min(2.0, -off / slope)))
    weight, found = min(tried, key=lambda pair: abs(pair[1].delay - delay))
    return found.polls + weight * (found.delay - delay)  # along the tangent, to exactly this delay
