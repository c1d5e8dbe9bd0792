"""Sends a run's pushes: signs each when it is sent, and retries when no server accepts it."""

import heapq
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from processor.cli.exit_codes import CommandError
from processor.cli.simulate.hook import Hook
from processor.cli.simulate.progress import Run
from processor.model import Push
from processor.simulation import PlannedPush, SimulatedJob

MAX_ATTEMPTS = 5
RETRY_PAUSE = 1.0  # seconds before the next attempt
MAX_THREADS = 8  # jobs that push at the same time; the pushes of one job are sent in order


class _Attempt(NamedTuple):
    """A push that is due at this time, and how many attempts were made; compares by time."""

    at: float
    due: PlannedPush
    made: int = 0


class PushSender:
    """Sends the pushes of a plan from threads, those of each job in order."""

    def __init__(self, hook: Hook, secret: str, run: Run, pushes: Sequence[PlannedPush]) -> None:
        self.hook, self.pushes = hook, pushes
        self._secret, self._run = secret, run
        self._ids = list(run.jobs)
        self._stopped = threading.Event()
        groups = [[due for due in pushes if due.job % MAX_THREADS == n] for n in range(MAX_THREADS)]
        self._threads = [
            threading.Thread(target=self._send_all, args=(group,), daemon=True)
            for group in groups
            if group
        ]

    def check_signing(self) -> None:
        """CommandError if the pushes cannot be signed."""
        if not self.pushes:
            return
        profile = self._job(self.pushes[0]).profile
        if profile.needs_secret and not self._secret:
            raise CommandError(f"{profile.name} signs its pushes: give the source's --secret")
        try:
            self.signed(self.pushes[0])
        except ValueError as error:
            raise CommandError(f"{profile.name} cannot push: {error}") from None

    def signed(self, due: PlannedPush) -> Push:
        """The push as it is sent now."""
        job, now = self._job(due), time.time()
        begun = self._run.begun.get(job.id, now)
        return job.push(due.number, begun).signed(self._secret, now)

    def _job(self, due: PlannedPush) -> SimulatedJob:
        return self._run.jobs[self._ids[due.job]]

    def _is_over(self, due: PlannedPush) -> bool:
        """Whether the job was canceled before it came so far."""
        later = self._job(due).moments[due.number :]
        return not later or later[0].pushed is None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Begin all jobs, and send their pushes while the block runs.

        Its end does not wait for a slow answer.
        """
        now = time.time()
        for job in list(self._run.jobs.values()):
            self._run.begin(job, now)
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join(RETRY_PAUSE)

    @property
    def running(self) -> bool:
        """Whether any push is still to be sent."""
        return any(thread.is_alive() for thread in self._threads)

    def _send_all(self, pushes: Sequence[PlannedPush]) -> None:
        waiting = [_Attempt(self._run.begun[self._ids[due.job]] + due.at, due) for due in pushes]
        heapq.heapify(waiting)
        while waiting:
            at, due, made = heapq.heappop(waiting)
            if self._stopped.wait(max(0.0, at - time.time())):
                return
            if self._is_over(due):
                continue
            if not made:
                self._run.note_sent(duplicate=due.again)
            if self._send(due):
                continue
            if made + 1 < MAX_ATTEMPTS:
                heapq.heappush(waiting, _Attempt(time.time() + RETRY_PAUSE, due, made + 1))
            else:
                self._run.note_given_up()

    def _send(self, due: PlannedPush) -> bool:
        """Send a push; False if it must be retried."""
        status, reason = self.hook.send(self.signed(due))
        self._run.count(self._run.pushes, status)
        if status is not None and 300 <= status < 500:  # noqa: PLR2004 - HTTP's own limits
            text = f"{status}: {reason or 'no reason given; see the log there'}"
            self._run.count(self._run.refusals, text)
        return status is not None and status < 500  # noqa: PLR2004 - HTTP's own limit
