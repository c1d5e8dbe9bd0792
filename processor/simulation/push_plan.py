"""Plans which pushes are sent when: in order and once, or with faults (repeats, losses, reorder)."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from processor.simulation.job import SimulatedJob

LATENESS = 0.1  # fraction of a job's duration: the longest delay of a repeated push


class Faults(NamedTuple):
    """Simulated faults: the share of pushes sent twice, the share lost, and whether to reorder."""

    duplicates: float = 0.0
    lose: float = 0.0
    reorder: bool = False


class PlannedPush(NamedTuple):
    """A push that is due `at` seconds after the start; compares by time."""

    at: float
    job: int  # the index of its job
    number: int  # the index of its moment
    again: bool = False


class PushPlan(NamedTuple):
    """The pushes to send, in order, how many are lost, and the jobs of which no push says the end."""

    pushes: tuple[PlannedPush, ...]
    lost: int
    ends_lost: frozenset[int] = frozenset()  # indexes of jobs

    @property
    def duplicates(self) -> int:
        """How many pushes are repeats."""
        return sum(push.again for push in self.pushes)


def plan_pushes(jobs: Sequence[SimulatedJob], faults: Faults, rng: Random) -> PushPlan:
    """Plan the pushes of all jobs; the same random numbers give the same plan."""
    due = [push for index, job in enumerate(jobs) for push in _planned(index, job, faults, rng)]
    kept = [push for push in due if rng.random() >= faults.lose]
    twice = [_repeat(push, jobs, rng) for push in kept if rng.random() < faults.duplicates]
    lost = frozenset(due) - frozenset(kept)
    ends = (push.job for push in lost if push.number == len(jobs[push.job].moments) - 1)
    return PushPlan(tuple(sorted((*kept, *twice))), len(lost), frozenset(ends))


def _planned(index: int, job: SimulatedJob, faults: Faults, rng: Random) -> list[PlannedPush]:
    numbers = [number for number, moment in enumerate(job.moments) if moment.pushed]
    times = [job.moments[number].at for number in numbers]
    if faults.reorder:
        rng.shuffle(numbers)
    return [PlannedPush(at, index, number) for at, number in zip(times, numbers, strict=True)]


def _repeat(push: PlannedPush, jobs: Sequence[SimulatedJob], rng: Random) -> PlannedPush:
    later = rng.random() * LATENESS * jobs[push.job].moments[-1].at
    return push._replace(at=push.at + later, again=True)
