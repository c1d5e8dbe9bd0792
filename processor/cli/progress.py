"""Shows the progress of jobs: bars on a terminal, elsewhere a line for each change."""

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from processor.cli import output
from processor.cli.exit_codes import CODE_OF_STATE

Job = Mapping[str, Any]


class ProgressDisplay:
    """Shows the progress of jobs while a `with` block runs; this class shows nothing."""

    def __enter__(self) -> Self:
        """Start the display."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the display; what was printed stays."""

    def show(self, name: str, job: Job) -> None:
        """Show the job's current state."""


class ProgressLines(ProgressDisplay):
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


class ProgressBars(ProgressDisplay):
    """Draws a bar for each job; without a known progress the bar pulses until the job ends."""

    def __init__(self) -> None:
        """Markup is off, because ids and status words come from outside."""
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[state]}", markup=False),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Start drawing on the terminal's last lines."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing; the bars stay."""
        self._progress.stop()

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
        self._progress.update(
            task, completed=progress or 0.0, total=total, description=describe(job)
        )


def progress_display(*, silent: bool) -> ProgressDisplay:
    """Nothing if silent, bars on a terminal, else lines."""
    if silent:
        return ProgressDisplay()
    return ProgressBars() if sys.stdout.isatty() else ProgressLines()


def describe(job: Job) -> str:
    """A job's state, the provider's own status if it differs, and the error."""
    state, status = job["state"], job.get("status")
    text = state if status in (None, state) else f"{state} ({status})"
    error = job.get("error") or {}
    reason = error.get("message") or error.get("code")
    parts = (text, "some parts failed" if job.get("partial") else None, reason)
    return output.clean(" · ".join(part for part in parts if part))
