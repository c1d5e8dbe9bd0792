"""Runs a simulation: begins the jobs, pushes and answers polls until every job has ended."""

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from processor.cli.exit_codes import Exit
from processor.cli.simulate import output
from processor.cli.simulate.progress import Run
from processor.cli.simulate.provider_server import ProviderServer
from processor.cli.simulate.push_sender import PushSender

CONFIRMATION_TIMEOUT = 60.0  # seconds; by then Ringback has polled, if it can
CHECK_EVERY = 0.05  # seconds


class KeepAnswering(NamedTuple):
    """How long polls are answered after the last job has ended."""

    seconds: float = 0.0
    confirms: bool = False  # Ringback must poll before it accepts a pushed end
    until_polled: bool = False  # stop as soon as the end of each of `jobs` was polled
    jobs: Collection[str] | None = None  # None: all


def keep_answering(
    given: float | None, *, confirms: bool, lost: Collection[str] = ()
) -> KeepAnswering:
    """As long as --linger says; without it, until Ringback has polled the ends that it can learn
    only so: all ends if it confirms pushed ones, else the `lost` ones, which no push says.
    """
    if given is not None or not (confirms or lost):
        return KeepAnswering(given or 0.0, confirms)
    jobs = None if confirms else lost
    return KeepAnswering(CONFIRMATION_TIMEOUT, confirms, until_polled=True, jobs=jobs)


@contextmanager
def started(run: Run, server: ProviderServer | None, sender: PushSender | None) -> Iterator[None]:
    """Answer polls and send pushes while the block runs.

    Jobs that are pushed begin at once, other jobs when they are first polled.
    """
    with ExitStack() as stack:
        if server:
            server.run = run
            stack.enter_context(server.serving())
        if sender:
            stack.enter_context(sender.sending())
        yield


def run_to_end(
    run: Run, server: ProviderServer | None, sender: PushSender | None, keep: KeepAnswering
) -> None:
    """Run until every job has ended and was polled as long as that is awaited, or until Ctrl-C."""
    with suppress(KeyboardInterrupt), started(run, server, sender):
        while not _is_over(run, sender):
            time.sleep(CHECK_EVERY)
        _keep_answering(run, keep)


def exit_code(run: Run) -> Exit:
    """The command's exit code."""
    if run.refused:
        return Exit.FAILED
    if run.given_up:
        return Exit.UNREACHABLE
    return Exit.TIMEOUT if run.not_confirmed else Exit.GOOD


def _keep_answering(run: Run, keep: KeepAnswering) -> None:
    """Go on answering polls as long as anybody may poll."""
    # Ringback has a job if it took a push or asks about it; if all pushes are lost, it may have it.
    known = run.accepted or run.polls or not run.sent
    polls_expected = known and not run.ends_polled(keep.jobs)
    if keep.confirms and polls_expected:
        output.awaiting_confirmation(keep.seconds)
    elif keep.until_polled and polls_expected:
        output.awaiting_polls(keep.seconds)
    seconds = keep.seconds if polls_expected or not keep.until_polled else 0.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (keep.until_polled and run.ends_polled(keep.jobs)):
        time.sleep(CHECK_EVERY)
    if keep.until_polled and polls_expected and not run.ends_polled(keep.jobs):
        run.not_confirmed = True
        output.not_confirmed()


def _is_over(run: Run, sender: PushSender | None) -> bool:
    if sender is None:
        return run.ends_polled()
    ends = max(run.begun[job.id] + job.moments[-1].at for job in run.jobs.values())
    return not sender.running and time.time() >= ends
