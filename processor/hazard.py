"""The hazard of jobs: how likely a job of some age is to end next, estimated from durations.

The hazard is taken to be `slope / age`, with a slope that changes at some ages. Between two of them
it is estimated as always: the jobs that ended there, by the time that all jobs spent there; the
time is counted in logarithms of the age, so that jobs of seconds and of hours are treated alike.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from statistics import median
from typing import NamedTuple, Self

from processor.job_durations import Durations

VAGUE = 1.25  # an end is known only vaguely if it may lie at ages that differ by this factor
LONELY = 6.0  # a wait for the next end so many times as long as its neighbours is a pause
APART = 1e-4  # part of the age that two ends are apart at least: how exactly they are known


BEYOND = 3.0  # the table ends at so many times the longest duration
STEP = 1.1  # the ages of the table lie at most this factor apart


class Piece(NamedTuple):
    """The hazard up to an age, from where the last piece ends: `slope / age`."""

    until: float
    slope: float


class PastJobs(NamedTuple):
    """The jobs learnt from, as a table over ages; at the first age nearly all of them are running."""

    ends: list[float]  # the age at which each has ended, in order
    ages: list[float]
    running: list[float]  # which part of the jobs is running at each age; at the last, none
    lived: list[float]  # seconds that a job has run until each age, in the mean
    root_hazard: list[float]  # of each step between two ages: the integral of the hazard's root

    @classmethod
    def of(cls, durations: Durations, start: float) -> Self:
        """Make the table of at least one job."""
        ends = end_ages(durations, start)
        hazard = pieces(ends, start)
        ages = _table_ages(start, BEYOND * ends[-1], [piece.until for piece in hazard])
        running = [1 - bisect_right(ends, age) / len(ends) for age in ages]
        steps = zip(pairwise(ages), pairwise(running), strict=True)
        spent = ((b - a) * (more + less) / 2 for (a, b), (more, less) in steps)
        lived = list(accumulate(spent, initial=start))
        return cls(ends, ages, running, lived, _root_hazard(hazard, ages))

    def at(self, age: float) -> tuple[float, float]:
        """Return which part of the jobs is running at an age, and how long a job has run by then."""
        if age <= self.ages[0]:
            return 1.0, age
        if age >= self.ages[-1]:
            return 0.0, self.lived[-1]
        n = bisect_right(self.ages, age) - 1
        since, before = age - self.ages[n], self.running[n]
        part = since / (self.ages[n + 1] - self.ages[n])
        running = before + part * (self.running[n + 1] - before)
        return running, self.lived[n] + since * (before + running) / 2

    def first_end(self, part: float) -> float:
        """Return the age at which so small a part of the jobs has ended, at least one job."""
        return self.ends[max(0, math.ceil(part * len(self.ends)) - 1)]


def _table_ages(start: float, top: float, borders: Sequence[float]) -> list[float]:
    steps = math.ceil(math.log(top / start, STEP))
    even = (start * (top / start) ** (n / steps) for n in range(steps + 1))
    return sorted({*even, *borders})


def _root_hazard(hazard: Sequence[Piece], ages: Sequence[float]) -> list[float]:
    borders = [piece.until for piece in hazard[:-1]]
    roots = [math.sqrt(hazard[bisect_left(borders, age)].slope) for age in ages[1:]]
    widths = [2 * (math.sqrt(b) - math.sqrt(a)) for a, b in pairwise(ages)]
    return [root * width for root, width in zip(roots, widths, strict=True)]


def interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Return the height at `x` of the line through all points; it is level before and after them."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    n = bisect_right(xs, x)
    return ys[n - 1] + (ys[n] - ys[n - 1]) * (x - xs[n - 1]) / (xs[n] - xs[n - 1])


def end_ages(durations: Durations, start: float) -> list[float]:
    """Return an age at which each job may have ended, in order, all after `start`.

    It is the middle of what is known. An end that is known only vaguely, mostly because it came
    before the first poll, is put beside another one in the same time, if there is any.
    """
    vague = [(after, until) for after, until in durations.ends if until > VAGUE * after]
    middles = ((after + until) / 2 for after, until in durations.ends if until <= VAGUE * after)
    known = sorted(max(start, age) for age in middles)
    beside = (_beside(known, end, start, number) for number, end in enumerate(vague))
    ends = sorted([*known, *beside])
    apart = accumulate(ends, lambda last, age: max(age, last * (1 + APART)), initial=start)
    return list(apart)[1:]


def _beside(known: Sequence[float], end: tuple[float, float], start: float, number: int) -> float:
    after, until = (max(start, age) for age in end)
    low, high = bisect_right(known, after), bisect_left(known, until)
    return known[low + 7 * number % (high - low)] if low < high else math.sqrt(after * until)


def pieces(ends: Sequence[float], start: float) -> list[Piece]:
    """Return the hazard from `start` on; the last piece also holds for ages beyond all ends.

    Each piece has about as many ends as there are pieces: it is narrow where many jobs end. A long
    pause, such as that before the first end, is a piece of its own.
    """
    count = len(ends)
    logs = [math.log(age) for age in (start, *ends)]
    waits = [(count - n) * (b - a) for n, (a, b) in enumerate(pairwise(logs))]
    parts = max(1, math.isqrt(count))
    borders = [round(n * count / parts) for n in range(parts + 1)]
    return [
        Piece(ends[last], size / spent)
        for low, high in pairwise(borders)
        for last, size, spent in _without_pauses(waits, low, high)
    ]


def _without_pauses(
    waits: Sequence[float], low: int, high: int
) -> Iterator[tuple[int, int, float]]:
    """Yield the last end, the number of ends and the time of each part of one piece."""
    limit = LONELY * median(waits[low:high])
    for is_pause, run in groupby(range(low, high), key=lambda n: waits[n] > limit):
        numbers = list(run)
        for part in [[n] for n in numbers] if is_pause else [numbers]:
            yield part[-1], len(part), sum(waits[n] for n in part)
