"""Jobs as they move: bars on a terminal, a line for each change anywhere else."""

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from processor.cli import output
from processor.cli.exit_codes import OF_STATE

Job = Mapping[str, Any]


class Board:
    """Where jobs are shown while they move; this one shows nothing."""

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave what is shown as it is."""

    def show(self, name: str, job: Job) -> None:
        """Show what is now known of the job."""


class Lines(Board):
    """Prints a line whenever what it would say has changed."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._said: dict[str, str] = {}

    def show(self, name: str, job: Job) -> None:
        """Print the job's line if it is news."""
        progress = job.get("progress")
        said = words(job) if progress is None else f"{words(job)} {output.percent(progress)}"
        if self._said.get(name) != said:
            self._said[name] = said
            output.line(f"{name}  {said}")


class Bars(Board):
    """Draws a bar for each job; one whose provider tells no progress pulses until it is done."""

    def __init__(self) -> None:
        """Lay out the columns; markup off, because ids and words come from strangers."""
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Take over the terminal's last lines."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bars as they are."""
        self._progress.stop()

    def show(self, name: str, job: Job) -> None:
        """Move the job's bar; it may move backwards, as the provider's progress does."""
        if name not in self._tasks:
            label = output.clean(name)
            self._tasks[name] = self._progress.add_task(label, total=None, words="")
        told = job.get("progress")
        if told is None and job["state"] in OF_STATE:
            told = float(job["state"] == "succeeded")
        total = None if told is None else 1.0
        task = self._tasks[name]
        self._progress.update(task, completed=told or 0.0, total=total, words=words(job))


def board(*, silent: bool) -> Board:
    """Choose: nothing for programs, bars for a terminal, lines for the rest."""
    if silent:
        return Board()
    return Bars() if sys.stdout.isatty() else Lines()


def words(job: Job) -> str:
    """Say where a job is: our state, and the provider's own word where it says more."""
    state, status = job["state"], job.get("status")
    told = state if status in (None, state) else f"{state} ({status})"
    error = job.get("error") or {}
    reason = error.get("message") or error.get("code")
    parts = (told, "some parts failed" if job.get("partial") else None, reason)
    return output.clean(" · ".join(part for part in parts if part))
