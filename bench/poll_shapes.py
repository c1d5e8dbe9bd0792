"""How long simulated jobs take: the true distributions, which no schedule is told."""

import functools
import math
import random
from bisect import bisect_left
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

START = 0.25  # seconds; before, every job runs
HORIZON = 72 * 3600.0  # a job's deadline, unless set otherwise
NEGLIGIBLE = 1e-6  # part of the jobs that nobody waits for any more
STEP = 1.002  # the ages of a table lie this factor apart
LOG_STEP = math.log(STEP)
JITTER = 0.1  # each gap is shorter by up to this part


class Shape(NamedTuple):
    """A distribution: which part of the jobs runs longer, and a way to draw one."""

    running: Callable[[float], float]
    draw: Callable[[random.Random], float]


def log_normal(median: float, sigma: float) -> Shape:
    """Return durations whose logarithm is normal."""
    mean = math.log(median)
    below = NormalDist(mean, sigma).cdf
    return Shape(lambda age: 1 - below(math.log(age)), lambda rng: rng.lognormvariate(mean, sigma))


def two_peaks(one: Shape, other: Shape) -> Shape:
    """Return jobs half of which are of one shape, half of another."""
    return Shape(
        lambda age: (one.running(age) + other.running(age)) / 2,
        lambda rng: (one if rng.random() < 0.5 else other).draw(rng),
    )


def weibull(mean: float, k: float) -> Shape:
    """Return durations whose hazard grows with the power k - 1 of the age."""
    scale = mean / math.gamma(1 + 1 / k)
    return Shape(
        lambda age: math.exp(-((age / scale) ** k)), lambda rng: rng.weibullvariate(scale, k)
    )


def pareto(least: float, power: float) -> Shape:
    """Return durations of at least some seconds, with a heavy tail."""
    return Shape(
        lambda age: min(1.0, (least / age) ** power), lambda rng: least * rng.paretovariate(power)
    )


SHAPES = {
    "near-constant, 5 %": log_normal(300, 0.05),
    "log-normal, sigma 0.2": log_normal(300, 0.2),
    "log-normal, sigma 0.3": log_normal(300, 0.3),
    "log-normal, sigma 0.5": log_normal(300, 0.5),
    "log-normal, sigma 0.8": log_normal(300, 0.8),
    "bimodal, 30 and 600 s": two_peaks(log_normal(30, 0.2), log_normal(600, 0.2)),
    "Pareto, 1.5": pareto(100, 1.5),
    "Weibull, 3": weibull(300, 3),
    "exponential": weibull(300, 1),
}


def doubled(shape: Shape) -> Shape:
    """Return jobs that take twice as long."""
    return Shape(lambda age: shape.running(age / 2), lambda rng: 2 * shape.draw(rng))


class Cost(NamedTuple):
    """What a schedule costs: polls a job, and seconds until its end is found, in the mean."""

    polls: float
    delay: float


class Truth:
    """A shape as a table over ages, for exact expectations."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.ages = [START]
        while shape.running(self.ages[-1]) > NEGLIGIBLE / 10 and self.ages[-1] < HORIZON:
            self.ages.append(self.ages[-1] * STEP)
        self.running = [shape.running(age) for age in self.ages]
        self.lived = [START]  # seconds that a job has run until each age, in the mean
        for n in range(len(self.ages) - 1):
            mean = (self.running[n] + self.running[n + 1]) / 2
            self.lived.append(self.lived[-1] + mean * (self.ages[n + 1] - self.ages[n]))
        self.mean = self.lived[-1]

    def at(self, age: float) -> tuple[float, float]:
        """Return which part runs at an age, and how long a job has run until then."""
        if age <= START:
            return 1.0, age
        n = int(math.log(age / START) / LOG_STEP)
        if n >= len(self.ages) - 1:
            return 0.0, self.mean
        part = (age - self.ages[n]) / (self.ages[n + 1] - self.ages[n])
        running = self.running[n] + part * (self.running[n + 1] - self.running[n])
        return running, self.lived[n] + (self.running[n] + running) / 2 * (age - self.ages[n])

    def age_at(self, ended: float) -> float:
        """Return the age by which this part has ended."""
        return self.ages[bisect_left(self.running, ended - 1, key=lambda running: -running)]

    @functools.cached_property
    def limit(self) -> float:
        """Return the least product of polls and delay: ½(∫S√h)², with S√h = √(S · density)."""
        total = 0.0
        for n in range(len(self.ages) - 1):
            width = self.ages[n + 1] - self.ages[n]
            ended, mean = (
                self.running[n] - self.running[n + 1],
                self.running[n] + self.running[n + 1],
            )
            total += math.sqrt(max(ended, 0.0) * mean / 2 * width)
        return total**2 / 2

    def cost(self, first: float, gap: Callable[[float], float], rng: random.Random) -> Cost:
        """Return the expected cost of a schedule along one draw of its jitter."""
        age, polls, found = first, 1.0, first
        running, lived = self.at(age)
        while running > NEGLIGIBLE:
            wait = gap(age) * (1 - JITTER * rng.random())
            polls, found, age = polls + running, found + wait * running, age + wait
            running, lived = self.at(age)
        return Cost(polls, found - lived)
