"""The play: begins the jobs, pushes and answers until every life is over."""

import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import NamedTuple

from processor.cli.exits import CommandError, Exit
from processor.cli.simulate.provider import Provider
from processor.cli.simulate.sender import Sender, Target
from processor.cli.simulate.stage import Stage
from processor.simulation import Job, Plan

LOOK = 0.05  # seconds between two looks whether all is over


class Pushing(NamedTuple):
    """Where to push what, signed with which secret."""

    target: Target
    secret: str
    plan: Plan


def play(stage: Stage, server: Provider | None, pushing: Pushing | None, linger: float) -> None:
    """Play until every life is over, or until Ctrl-C.

    Jobs that are pushed begin at once, others when they are first asked about.
    """
    jobs = list(stage.jobs.values())
    sender = Sender(pushing.target, pushing.secret, jobs, stage) if pushing else None
    serving = server.serving(stage) if server else nullcontext()
    with suppress(KeyboardInterrupt), serving:  # what came until then is told all the same
        try:
            if sender and pushing:
                _begin(stage, jobs)
                sender.start(pushing.plan.pushes)
            while not _is_over(stage, jobs, sender):
                time.sleep(LOOK)
            time.sleep(linger)
        finally:
            if sender:
                sender.stop()


def check(jobs: Sequence[Job], pushing: Pushing | None) -> None:
    """CommandError where pushes cannot be signed."""
    due = next(iter(pushing.plan.pushes), None) if pushing else None
    if pushing is None or due is None:
        return
    profile, now = jobs[0].profile, time.time()
    if profile.needs_secret and not pushing.secret:
        raise CommandError(f"{profile.name} signs its pushes: give the source's --secret")
    try:
        jobs[due.job].push(due.number, now).signed(pushing.secret, now)
    except ValueError as error:
        raise CommandError(f"{profile.name} cannot push: {error}") from None


def verdict(stage: Stage) -> Exit:
    """How the command ends."""
    if stage.refused:
        return Exit.FAILED
    return Exit.UNREACHABLE if stage.given_up else Exit.GOOD


def _begin(stage: Stage, jobs: Sequence[Job]) -> None:
    now = time.time()
    for job in jobs:
        stage.begin(job, now)


def _is_over(stage: Stage, jobs: Sequence[Job], sender: Sender | None) -> bool:
    if sender is None:
        return stage.all_told
    ends = max(stage.begun[job.id] + job.moments[-1].at for job in jobs)
    return not sender.running and time.time() >= ends
