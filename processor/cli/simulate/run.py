"""The play: begins the jobs, pushes and answers until every life is over."""

import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import NamedTuple

from processor.cli.exit_codes import CommandError, Exit
from processor.cli.simulate import output
from processor.cli.simulate.progress import Stage
from processor.cli.simulate.provider_server import Provider
from processor.cli.simulate.push_sender import Sender, Target
from processor.simulation import Job, Plan

LONGEST = 60.0  # seconds in which Ringback has asked, if it can
LOOK = 0.05  # seconds between two looks whether all is over


class Linger(NamedTuple):
    """How long polls are answered after the end, and whether Ringback must ask to believe it."""

    seconds: float = 0.0
    confirms: bool = False
    until_told: bool = False  # no longer than until the end of each job was asked for


def linger_of(given: float | None, *, confirms: bool) -> Linger:
    """As long as is wished; else as long as Ringback needs, where it must ask."""
    if given is not None or not confirms:
        return Linger(given or 0.0, confirms)
    return Linger(LONGEST, confirms, until_told=True)


class Pushing(NamedTuple):
    """Where to push what, signed with which secret."""

    target: Target
    secret: str
    plan: Plan


def play(stage: Stage, server: Provider | None, pushing: Pushing | None, linger: Linger) -> None:
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
            _stay(stage, linger)
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


def _stay(stage: Stage, linger: Linger) -> None:
    """Go on answering polls, where there is anything to ask."""
    asked_about = stage.taken and not stage.all_told
    if linger.confirms and asked_about:
        output.confirmation(linger.seconds)
    ends = time.monotonic() + (linger.seconds if asked_about or not linger.until_told else 0.0)
    while time.monotonic() < ends and not (linger.until_told and stage.all_told):
        time.sleep(LOOK)
    if linger.until_told and asked_about and not stage.all_told:
        output.unasked()


def _begin(stage: Stage, jobs: Sequence[Job]) -> None:
    now = time.time()
    for job in jobs:
        stage.begin(job, now)


def _is_over(stage: Stage, jobs: Sequence[Job], sender: Sender | None) -> bool:
    if sender is None:
        return stage.all_told
    ends = max(stage.begun[job.id] + job.moments[-1].at for job in jobs)
    return not sender.running and time.time() >= ends
