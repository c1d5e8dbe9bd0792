"""When each simulated job began, and how its pushes and polls were answered, for all threads."""

import threading
from collections import Counter
from collections.abc import Collection, Sequence

from processor.simulation import SimulatedJob


class Run:
    """One run of a simulation: its jobs by id, and what has happened. Times are Unix seconds."""

    def __init__(self, jobs: Sequence[SimulatedJob]) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.begun: dict[str, float] = {}
        self.pushes: Counter[str] = Counter()  # answers to pushes, by status
        self.polls: Counter[str] = Counter()  # our answers to polls, by status
        self.sent = self.repeated = 0  # pushes, retries not counted; how many were duplicates
        self.given_up = 0  # pushes that got no answer, or only 5xx, at every attempt
        self.not_confirmed = False  # an end that had to be polled was not polled in time
        self.refusals: Counter[str] = Counter()  # refused pushes, by the reason of the server
        self._submitted = False  # whether jobs begin when they are submitted
        self._ends_polled: set[str] = set()  # jobs whose end was the answer to a poll
        self._lock = threading.Lock()

    def begin(self, job: SimulatedJob, now: float) -> float:
        """Begin a job unless it has begun; return when it began."""
        with self._lock:
            return self.begun.setdefault(job.id, now)

    def begin_next(self, now: float) -> SimulatedJob | None:
        """Begin the first job that has not begun; None if all have."""
        with self._lock:
            self._submitted = True
            left = (job for name, job in self.jobs.items() if name not in self.begun)
            job = next(left, None)
            if job:
                self.begun[job.id] = now
        return job

    def listed(self, now: float) -> list[SimulatedJob]:
        """The jobs that have begun, the newest first; a list begins all unless they are submitted."""
        with self._lock:
            for name in () if self._submitted else self.jobs:
                self.begun.setdefault(name, now)
            return [self.jobs[name] for name in sorted(self.begun, key=self._age)]

    def _age(self, job: str) -> float:
        return -self.begun[job]

    def cancel(self, job: str, now: float) -> SimulatedJob | None:
        """Cancel a job; None if it has not begun, ValueError if it cannot be canceled."""
        with self._lock:
            if job not in self.begun:
                return None
            self.jobs[job] = self.jobs[job].canceled(now - self.begun[job])
            return self.jobs[job]

    def note_end_polled(self, job: SimulatedJob) -> None:
        """Note that a poll was answered with the end of this job."""
        with self._lock:
            self._ends_polled.add(job.id)

    def count(self, counter: Counter[str], what: int | str | None) -> None:
        """Count an answer by its status, or a refusal by its reason; None: there was no answer."""
        with self._lock:
            counter[str(what or "none")] += 1

    def note_sent(self, *, duplicate: bool) -> None:
        """Note that a push is sent for the first time, or as a planned duplicate."""
        with self._lock:
            self.sent += 1
            self.repeated += duplicate

    def note_given_up(self) -> None:
        """Note that a push will not be retried."""
        with self._lock:
            self.given_up += 1

    @property
    def accepted(self) -> int:
        """How many pushes were answered 2xx."""
        return sum(count for status, count in self.pushes.items() if status[0] == "2")

    @property
    def refused(self) -> int:
        """How many pushes were answered 3xx or 4xx."""
        return sum(count for status, count in self.pushes.items() if status[0] in "34")

    def ends_polled(self, jobs: Collection[str] | None = None) -> bool:
        """Whether a poll of each of these jobs, else of every job, was answered with its end."""
        return self._ends_polled >= set(self.jobs if jobs is None else jobs)
