"""Shows the progress of jobs and groups: bars on a terminal, elsewhere a line for each change."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from processor.cli import output
from processor.cli.exit_codes import CODE_OF_STATE

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Job = Mapping[str, Any]
Show = Callable[[str, Job], None]
"""Shows the current state of the job of this name."""


class ProgressLines:
    """Prints a job's line whenever it changes."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}

    def show(self, name: str, job: Job) -> None:
        """Print the job's line if it has changed."""
        progress = job.get("progress")
        text = describe(job) + ("" if progress is None else f" {output.percent(progress)}")
        if self._printed.get(name) != text:
            self._printed[name] = text
            output.line(f"{name}  {text}")


class ProgressBars:
    """Draws a bar for each job; without a known progress the bar pulses until the job ends."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, job: Job) -> None:
        """Move the job's bar, also backwards if the provider's progress decreases."""
        if name not in self._tasks:
            label = output.clean(name)
            self._tasks[name] = self._progress.add_task(label, total=None, state="")
        progress = job.get("progress")
        if progress is None and job["state"] in CODE_OF_STATE:
            progress = float(job["state"] == "succeeded")
        total = None if progress is None else 1.0
        task = self._tasks[name]
        self._progress.update(task, completed=progress or 0.0, total=total, state=describe(job))


@contextmanager
def progress_display(*, silent: bool) -> Iterator[Show]:
    """Show jobs while the block runs: not if silent, as bars on a terminal, else as lines."""
    if silent:
        yield lambda _name, _job: None
    elif not sys.stdout.isatty():
        yield ProgressLines().show
    else:
        from rich.progress import (  # noqa: PLC0415 -- slow to import, and only for terminals
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
        )

        # Without markup, because ids and status words come from outside.
        name = TextColumn("{task.description}", markup=False)
        state = TextColumn("{task.fields[state]}", markup=False)
        with Progress(name, BarColumn(), TaskProgressColumn(), state) as progress:
            yield ProgressBars(progress).show


def describe(job: Job) -> str:
    """A job's state, the provider's own status if it differs, the error, and failed polls."""
    state, status = job["state"], job.get("status")
    text = state if status in (None, state) else f"{state} ({status})"
    error = job.get("error") or {}
    reason = error.get("message") or error.get("code")
    partial = "some parts failed" if job.get("partial") else None
    parts = (text, partial, reason, _failed_polls(job.get("poll") or {}))
    return output.clean(" · ".join(part for part in parts if part))


def _failed_polls(poll: Mapping[str, Any]) -> str | None:
    failures = poll.get("failures")
    polls = "poll" if failures == 1 else "polls"
    return f"{failures} failed {polls}: {poll['last_error']}" if failures else None
