"""Section: polls a job and detection delay of the learnt poll schedule, held against the limit.

A simulation without processes: jobs of a known distribution are polled, and the schedule learns
only what polls show. The cost of each schedule on the true distribution is then computed, not
sampled. `python -m bench.polling` runs it alone, and writes docs/polling.svg and docs/polling_gaps.svg.
"""

import functools
import math
import os
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import fmean, quantiles
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from bench import chart, report
from bench.best_polls import Bounds, yardstick
from bench.poll_shapes import JITTER, SHAPES, Cost, Truth, doubled
from bench.report import Claim, Result
from processor.job_durations import Durations
from processor.poll_schedule import PollSchedule, remaining_time

if TYPE_CHECKING:
    from bench.runner import Runner

DOCS = Path(__file__).parents[1] / "docs"
SEEDS = 200
BOUNDS = Bounds((1.0, 60.0), 1.0)  # a profile's `every = ["1s", "1m"]`
PROFILE = PollSchedule(BOUNDS.every, BOUNDS.after)
EARLY, JOBS, DOUBLED = (
    20,
    200,
    300,
)  # jobs: the first ones; until the figures; after durations doubled
RELEARN = 20  # jobs after which the schedule is learnt again; at first after each
GOALS = dict.fromkeys(SHAPES, 1.25) | {"near-constant, 5 %": 1.6, "Pareto, 1.5": 1.6}
DRAWN, DRAWN_GAPS = "log-normal, sigma 0.3", "bimodal, 30 and 600 s"
RATES = (0.5, 0.7, 1.0, 1.4, 2.0)  # times the learnt one, for the picture
AGES = range(5, 905, 10)  # seconds, for the picture of the gaps
UNSURE = 0.2  # how unevenly progress grows: (age / duration) ** e**gauss(0, UNSURE)
HINTED = "log-normal, sigma 0.5"  # the shape on which progress and pushes are tried
HINTED_JOBS = 100  # a seed
LOSS = 0.02  # part of the pushes


class Learner:
    """Jobs that are polled one after the other, and the schedule that is learnt from them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.durations, self.polled, self.count = rng, Durations(), PROFILE, 0

    def poll(self, duration: float) -> None:
        """Poll a job until its end is found; learn what that shows."""
        last, age = 0.0, self.polled.first
        while age < duration:
            last, age = age, age + self.gap(age)
        self.durations = self.durations.observe(last, age)
        self.count += 1
        if self.count <= EARLY or self.count % RELEARN == 0:
            self.polled = learnt(self.durations)

    def gap(self, age: float, remaining: float | None = None) -> float:
        """Return a gap with jitter."""
        gap = self.polled.gap(age, remaining=remaining)
        return gap * (1 - JITTER * self.rng.random())

    def cost(self, truth: Truth) -> Cost:
        """Return what the schedule costs now."""
        return truth.cost(self.polled.first, self.polled.gap, self.rng)


class Run(NamedTuple):
    """What one seed gave."""

    early: Cost  # mean of the first jobs
    learnt: Cost
    exact: Cost  # learnt from as many jobs whose ends are known exactly
    after_doubling: Cost
    rates: list[Cost]
    gaps: list[float]


def learnt(durations: Durations, loss: float = 1.0) -> PollSchedule:
    """Return the schedule that is learnt."""
    return PollSchedule.learn(durations, BOUNDS.every, BOUNDS.after, loss=loss)


@functools.cache
def truths(name: str) -> tuple[Truth, Truth]:
    """Return a shape's table, and that of jobs that take twice as long."""
    return Truth(SHAPES[name]), Truth(doubled(SHAPES[name]))


def run(name: str, seed: int) -> Run:
    """Simulate the jobs of one shape."""
    truth, longer = truths(name)
    rng = random.Random(f"{name} {seed}")
    learner, early = Learner(rng), list[Cost]()
    for number in range(JOBS):
        if number < EARLY:
            early.append(learner.cost(truth))
        learner.poll(truth.shape.draw(rng))
    after, found = learner.polled, learner.cost(truth)
    exactly = [truth.shape.draw(rng) for _ in range(JOBS)]
    exact = learnt(Durations(tuple((age, age) for age in exactly)))
    for _ in range(DOUBLED):
        learner.poll(longer.shape.draw(rng))
    return Run(
        mean(early),
        found,
        truth.cost(exact.first, exact.gap, rng),
        learner.cost(longer),
        [truth.cost(*scaled(after, rate), rng) for rate in RATES if name == DRAWN],
        [after.gap(age) for age in AGES if name == DRAWN_GAPS],
    )


def scaled(polled: PollSchedule, rate: float):
    """Return first delay and gaps of a schedule with so many times the polls."""
    more = replace(polled, polls=tuple(rate * polls for polls in polled.polls))
    return more.first, more.gap


def mean(costs: Sequence[Cost]) -> Cost:
    """Return the mean cost."""
    return Cost(fmean(c.polls for c in costs), fmean(c.delay for c in costs))


class Hints(NamedTuple):
    """What one seed gave where the provider says more than a status."""

    alone: Cost
    progress: Cost
    eta: Cost
    pushed: Cost  # pushes arrive, and polls do not know how reliable they are
    rarer: Cost  # pushes arrive, and polls do


def hints(seed: int) -> Hints:
    """Simulate jobs with progress, with the time that they still take, and with pushes."""
    truth, rng = truths(HINTED)[0], random.Random(seed)
    learner = Learner(rng)
    for _ in range(JOBS):
        learner.poll(truth.shape.draw(rng))
    drawn = [truth.shape.draw(rng) for _ in range(HINTED_JOBS)]
    plain, known = learner.polled, learnt(learner.durations, LOSS)
    alone = mean([hinted(learner, duration, "") for duration in drawn])
    progress = mean([hinted(learner, duration, "progress") for duration in drawn])
    eta = mean([hinted(learner, duration, "eta") for duration in drawn])
    pushed = mean([backed_up(learner, plain, duration) for duration in drawn])
    return Hints(alone, progress, eta, pushed, mean([backed_up(learner, known, d) for d in drawn]))


def hinted(learner: Learner, duration: float, hint: str) -> Cost:
    """Return the cost of one job of which each poll tells progress, or the time it still takes."""
    power, polls, age = math.exp(learner.rng.gauss(0, UNSURE)), 1, learner.polled.first
    while age < duration:
        progress = round((age / duration) ** power, 2)  # in whole per cent
        left = (duration - age) * math.exp(learner.rng.gauss(0, UNSURE))
        remaining = {"": None, "progress": remaining_time(age, progress), "eta": left}[hint]
        polls, age = polls + 1, age + learner.gap(age, remaining)
    return Cost(polls, age - duration)


def backed_up(learner: Learner, polled: PollSchedule, duration: float) -> Cost:
    """Return the polls of a job whose push arrives at its end, and the delay if that is lost."""
    learner.polled, polls, age = polled, 0, polled.first
    while age < duration:
        polls, age = polls + 1, age + learner.gap(age)
    return Cost(polls + LOSS, age - duration)


class Row(NamedTuple):
    """The figures of one shape."""

    name: str
    limit: float  # of the best fixed interval's product
    profile: Cost
    bound: float  # polls that the limit says, with the profile's delay
    best: float  # polls of the best schedule, with the profile's delay
    learnt: Cost
    tenths: tuple[float, float, float]  # of the seeds' polls: one, the median and nine
    ratio: float  # polls by those of the best schedule with the same delay
    exact: float
    early: Cost
    doubled: float


def row(name: str, runs: Sequence[Run]) -> Row:
    """Hold the mean of all seeds against the yardstick."""
    truth, longer = truths(name)
    profile = truth.cost(PROFILE.first, PROFILE.gap, random.Random(0))
    found, exact, after = (
        mean([run.learnt for run in runs]),
        mean([run.exact for run in runs]),
        mean([run.after_doubling for run in runs]),
    )
    return Row(
        name,
        truth.limit / (truth.mean / 2),
        profile,
        truth.limit / profile.delay,
        yardstick(truth, BOUNDS, profile.delay),
        found,
        band([run.learnt.polls for run in runs]),
        found.polls / yardstick(truth, BOUNDS, found.delay),
        exact.polls / yardstick(truth, BOUNDS, exact.delay),
        mean([run.early for run in runs]),
        after.polls / yardstick(longer, BOUNDS, after.delay),
    )


def table(rows: Sequence[Row]) -> str:
    """Return the figures as Markdown."""
    head = (
        "durations",
        "limit / fixed",
        "profile: polls, delay",
        "limit: polls",
        "best: polls",
        "learnt: polls, delay",
        "÷ best",
        "exact ends ÷ best",
        "first 20 ÷ profile: polls, delay",
        "doubled ÷ best",
    )
    return report.table(head, [line(one) for one in rows])


def line(one: Row) -> tuple[str, ...]:
    """Return one row of the table."""
    profile, early = one.profile, one.early
    return (
        one.name,
        f"{one.limit:.2f}",
        f"{profile.polls:.1f}, {profile.delay:.2f} s",
        f"{one.bound:.1f}",
        f"{one.best:.1f}",
        f"{one.learnt.polls:.1f} [{one.tenths[0]:.0f} to {one.tenths[2]:.0f}], {one.learnt.delay:.2f} s",
        f"{one.ratio:.2f}",
        f"{one.exact:.2f}",
        f"{early.polls / profile.polls:.2f}, {early.delay / profile.delay:.2f}",
        f"{one.doubled:.2f}",
    )


def claims(rows: Sequence[Row]) -> Iterator[Claim]:
    """Yield what is promised, and whether it held."""
    for one in rows:
        goal, early = GOALS[one.name], one.early.polls / one.profile.polls
        text = f"{one.name}: polls ÷ best"
        yield Claim(f"{text} after {JOBS} jobs ≤ {goal}", f"{one.ratio:.2f}", one.ratio <= goal)
        yield Claim(
            f"{text}, {DOUBLED} jobs after doubling ≤ 1.5", f"{one.doubled:.2f}", one.doubled <= 1.5
        )
        yield Claim(
            f"{one.name}: first {EARLY} jobs ÷ profile ≤ 1.15", f"{early:.2f}", early <= 1.15
        )


def hint_table(found: Sequence[Hints]) -> str:
    """Return what progress, remaining time and pushes save."""
    truth = truths(HINTED)[0]
    names = (
        "a status only",
        "progress",
        "remaining time",
        "pushes, not counted",
        "pushes, 2 % lost",
    )
    costs = [mean([getattr(one, field) for one in found]) for field in Hints._fields]
    parts = [f"{cost.polls * cost.delay / truth.limit:.2f}" for cost in costs[:3]] + ["-", "-"]
    rows = [
        (name, f"{cost.polls:.1f}", f"{cost.delay:.2f} s", part)
        for name, cost, part in zip(names, costs, parts, strict=True)
    ]
    return report.table(
        (f"{HINTED}: the provider sends", "polls", "delay", "polls · delay ÷ limit"), rows
    )


def drawn(runs: Sequence[Run], profile: Cost) -> str:
    """Return the picture of cost against delay."""
    truth = truths(DRAWN)[0]
    costs = [[run.rates[n] for run in runs] for n in range(len(RATES))]
    found = [
        chart.Point(mean(each).delay, *band([cost.polls for cost in each]))
        for each in reversed(costs)
    ]
    delays = [point.x for point in found]
    lines = [
        chart.Line("profile", [chart.Point(profile.delay, *[profile.polls] * 3)]),
        chart.Line("fixed", [flat(delay, truth.mean / 2 / delay) for delay in delays]),
        chart.Line("learnt", found),
        chart.Line("limit", [flat(delay, truth.limit / delay) for delay in delays]),
    ]
    return chart.svg(
        f"Polls a job ({DRAWN})", "seconds until an end is found, mean", "polls", lines
    )


def drawn_gaps(runs: Sequence[Run]) -> str:
    """Return the picture of the gaps between polls."""
    learnt = [chart.Point(age, *band([run.gaps[n] for run in runs])) for n, age in enumerate(AGES)]
    profile = [flat(age, PROFILE.gap(age)) for age in AGES]
    lines = [chart.Line("profile", profile), chart.Line("learnt", learnt)]
    return chart.svg(
        f"Gaps between polls ({DRAWN_GAPS})", "age of the job, seconds", "seconds", lines
    )


def band(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the tenth part, the median and nine tenths."""
    if len(values) < 2:
        return (values[0],) * 3
    tenths = quantiles(values, n=10)
    return tenths[0], tenths[4], tenths[8]


def flat(x: float, y: float) -> chart.Point:
    """Return a point without a band."""
    return chart.Point(x, y, y, y)


def simulate(seeds: int) -> Result:
    """Run all shapes on all cores."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs = {
            name: list(pool.map(functools.partial(run, name), range(seeds), chunksize=5))
            for name in SHAPES
        }
        rows = list(pool.map(row, runs, runs.values()))
        found = list(pool.map(hints, range(seeds)))
    profile = next(one.profile for one in rows if one.name == DRAWN)
    charts = {
        "polling.svg": drawn(runs[DRAWN], profile),
        "polling_gaps.svg": drawn_gaps(runs[DRAWN_GAPS]),
    }
    figures = {"rows": [one._asdict() for one in rows], "seeds": seeds}
    return Result([table(rows), hint_table(found)], list(claims(rows)), figures, charts)


async def measure(runner: "Runner") -> Result:
    """Simulate, as a section of the bench."""
    return simulate(runner.size(SEEDS))


def main() -> None:
    """Print the tables, and write the pictures."""
    result = simulate(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
    sys.stdout.write("\n\n".join([*result.tables, report.claim_table(result.claims), ""]))
    for name, content in result.charts.items():
        (DOCS / name).write_text(content)


if __name__ == "__main__":
    main()
