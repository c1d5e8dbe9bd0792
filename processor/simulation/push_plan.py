"""Which pushes are sent when: in order and once, or repeated, reordered and lost as asked."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from processor.simulation.job import SimulatedJob

LATENESS = 0.1  # of a life: how much later a push at most comes again


class Faults(NamedTuple):
    """How pushes go wrong: the share that comes twice, the share that never comes, the order."""

    duplicates: float = 0.0
    lose: float = 0.0
    reorder: bool = False


class PlannedPush(NamedTuple):
    """A push that is due so many seconds after the beginning; compares by time."""

    at: float
    job: int  # its place among the jobs
    number: int  # of the moment that it tells of
    again: bool = False


class PushPlan(NamedTuple):
    """What will be sent, in order, and how many pushes will be lost."""

    pushes: tuple[PlannedPush, ...]
    lost: int

    @property
    def duplicates(self) -> int:
        """How many come a second time."""
        return sum(push.again for push in self.pushes)


def plan_pushes(jobs: Sequence[SimulatedJob], faults: Faults, rng: Random) -> PushPlan:
    """Plan the pushes of all jobs; the same random numbers give the same plan."""
    due = [push for index, job in enumerate(jobs) for push in _of(index, job, faults, rng)]
    kept = [push for push in due if rng.random() >= faults.lose]
    twice = [_again(push, jobs, rng) for push in kept if rng.random() < faults.duplicates]
    return PushPlan(tuple(sorted((*kept, *twice))), len(due) - len(kept))


def _of(index: int, job: SimulatedJob, faults: Faults, rng: Random) -> list[PlannedPush]:
    numbers = [number for number, moment in enumerate(job.moments) if moment.pushed]
    times = [job.moments[number].at for number in numbers]
    if faults.reorder:
        rng.shuffle(numbers)
    return [PlannedPush(at, index, number) for at, number in zip(times, numbers, strict=True)]


def _again(push: PlannedPush, jobs: Sequence[SimulatedJob], rng: Random) -> PlannedPush:
    later = rng.random() * LATENESS * jobs[push.job].moments[-1].at
    return push._replace(at=push.at + later, again=True)
