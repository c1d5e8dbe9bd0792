"""Runs a simulation: begins the jobs, pushes and answers polls until every job has ended."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import NamedTuple

from processor.cli.exit_codes import CommandError, Exit
from processor.cli.simulate import output
from processor.cli.simulate.progress import Run
from processor.cli.simulate.provider_server import ProviderServer
from processor.cli.simulate.push_sender import Hook, PushSender
from processor.simulation import PushPlan, SimulatedJob

CONFIRMATION_TIMEOUT = 60.0  # seconds; by then Ringback has polled, if it can
CHECK_EVERY = 0.05  # seconds


class KeepAnswering(NamedTuple):
    """How long polls are answered after the last job has ended."""

    seconds: float = 0.0
    confirms: bool = False  # Ringback must poll before it accepts a pushed end
    until_polled: bool = False  # stop as soon as the end of each job was polled


def keep_answering(given: float | None, *, confirms: bool) -> KeepAnswering:
    """As long as --linger says; without it, until Ringback has confirmed pushed ends by polls."""
    if given is not None or not confirms:
        return KeepAnswering(given or 0.0, confirms)
    return KeepAnswering(CONFIRMATION_TIMEOUT, confirms, until_polled=True)


class Pushing(NamedTuple):
    """Where to push, the secret that signs, and which pushes are sent when."""

    hook: Hook
    secret: str
    plan: PushPlan


@contextmanager
def started(
    run: Run, server: ProviderServer | None, pushing: Pushing | None
) -> Iterator[PushSender | None]:
    """Answer polls and send pushes while the block runs.

    Jobs that are pushed begin at once, other jobs when they are first polled.
    """
    sender = PushSender(pushing.hook, pushing.secret, run) if pushing else None
    if server:
        server.run = run
    with server.serving() if server else nullcontext():
        try:
            if sender and pushing:
                now = time.time()
                for job in run.jobs.values():
                    run.begin(job, now)
                sender.start(pushing.plan.pushes)
            yield sender
        finally:
            if sender:
                sender.stop()


def run_to_end(
    run: Run, server: ProviderServer | None, pushing: Pushing | None, keep: KeepAnswering
) -> None:
    """Run until every job has ended, or until Ctrl-C."""
    with suppress(KeyboardInterrupt), started(run, server, pushing) as sender:
        while not _is_over(run, sender):
            time.sleep(CHECK_EVERY)
        _keep_answering(run, keep)


def check_signing(jobs: Sequence[SimulatedJob], pushing: Pushing | None) -> None:
    """CommandError if the pushes cannot be signed."""
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


def exit_code(run: Run) -> Exit:
    """The command's exit code."""
    if run.refused:
        return Exit.FAILED
    return Exit.UNREACHABLE if run.given_up else Exit.GOOD


def _keep_answering(run: Run, keep: KeepAnswering) -> None:
    """Go on answering polls as long as anybody may poll."""
    polls_expected = run.accepted and not run.all_ends_polled
    if keep.confirms and polls_expected:
        output.awaiting_confirmation(keep.seconds)
    seconds = keep.seconds if polls_expected or not keep.until_polled else 0.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (keep.until_polled and run.all_ends_polled):
        time.sleep(CHECK_EVERY)
    if keep.until_polled and polls_expected and not run.all_ends_polled:
        output.not_confirmed()


def _is_over(run: Run, sender: PushSender | None) -> bool:
    if sender is None:
        return run.all_ends_polled
    ends = max(run.begun[job.id] + job.moments[-1].at for job in run.jobs.values())
    return not sender.running and time.time() >= ends
