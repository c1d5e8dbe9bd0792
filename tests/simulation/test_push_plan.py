"""A plan sends every push once and in order, or with the requested faults, reproducibly."""

from random import Random

import pytest

from processor.config.profiles import ProfileRegistry
from processor.model import State
from processor.simulation import (
    Faults,
    PushPlan,
    SimulatedJob,
    params_from_provider,
    plan_pushes,
    timeline,
)

PROFILE = ProfileRegistry()["standard"]
MOMENTS = timeline(PROFILE, None, State.SUCCEEDED, 9.0)
JOBS = [
    SimulatedJob(PROFILE, None, f"j-{n}", MOMENTS, params_from_provider(PROFILE, None))
    for n in range(50)
]
ALL = len(JOBS) * len(MOMENTS)


def planned(faults: Faults, seed: int = 7) -> PushPlan:
    return plan_pushes(JOBS, faults, Random(seed))


def of(job: int, found: PushPlan) -> list[int]:
    return [push.number for push in found.pushes if push.job == job]


def test_without_faults_every_push_is_sent_once_and_in_order():
    found = planned(Faults())
    assert (len(found.pushes), found.lost) == (ALL, 0)
    assert list(found.pushes) == sorted(found.pushes)
    assert all(of(job, found) == [0, 1, 2, 3] for job in range(len(JOBS)))


def test_all_pushes_may_be_repeated_later():
    found = planned(Faults(duplicates=1.0))
    first = {(p.job, p.number): p.at for p in found.pushes if not p.again}
    again = {(p.job, p.number): p.at for p in found.pushes if p.again}
    assert first.keys() == again.keys()
    assert all(first[one] <= at <= first[one] + 0.9 for one, at in again.items())


def test_all_pushes_may_be_lost_and_a_lost_push_is_not_repeated():
    found = planned(Faults(duplicates=1.0, lose=1.0))
    assert (found.pushes, found.lost) == ((), ALL)


def test_reordered_pushes_are_the_same_pushes_at_the_same_times():
    found = planned(Faults(reorder=True))
    assert sorted(p.at for p in found.pushes) == sorted(p.at for p in planned(Faults()).pushes)
    assert all(sorted(of(job, found)) == [0, 1, 2, 3] for job in range(len(JOBS)))
    assert any(of(job, found) != [0, 1, 2, 3] for job in range(len(JOBS)))


@pytest.mark.parametrize("faults", [Faults(0.3, 0.0), Faults(0.0, 0.3)])
def test_a_share_of_pushes_gets_the_fault(faults: Faults):
    found = planned(faults)
    wrong = sum(push.again for push in found.pushes) + found.lost
    assert 0.2 * ALL < wrong < 0.4 * ALL


def test_the_plan_depends_on_the_seed():
    faults = Faults(0.3, 0.3, reorder=True)
    assert planned(faults, 1) == planned(faults, 1) != planned(faults, 2)
