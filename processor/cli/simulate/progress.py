"""When each job began, and what came of it: shared by the threads that push and that answer."""

import threading
from collections import Counter
from collections.abc import Sequence

from processor.simulation import Job


class Stage:
    """The jobs of a play, by id. Times are seconds since 1970."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """No job has begun."""
        self.jobs = {job.id: job for job in jobs}
        self.begun: dict[str, float] = {}
        self.pushes: Counter[str] = Counter()  # answers to pushes, by status
        self.polls: Counter[str] = Counter()  # our answers to polls, by status
        self.sent = self.repeated = 0  # pushes, each counted once; how many came a second time
        self.given_up = 0  # pushes that nobody ever took or refused
        self.refusals: Counter[str] = Counter()  # why pushes were refused, in the server's words
        self._told: set[str] = set()  # jobs whose end was asked for and answered
        self._lock = threading.Lock()

    def begin(self, job: Job, now: float) -> float:
        """Begin a job, unless it has; give when it began."""
        with self._lock:
            return self.begun.setdefault(job.id, now)

    def begin_next(self, now: float) -> Job | None:
        """Begin the first that has not; None if all have."""
        with self._lock:
            left = (job for name, job in self.jobs.items() if name not in self.begun)
            job = next(left, None)
            if job:
                self.begun[job.id] = now
        return job

    def tell(self, job: Job) -> None:
        """Note that the end of a job was asked for and answered."""
        with self._lock:
            self._told.add(job.id)

    def count(self, counter: Counter[str], status: int | None) -> None:
        """Count an answer; None is none."""
        with self._lock:
            counter[str(status or "none")] += 1

    def send(self, *, again: bool) -> None:
        """Note that a push goes out."""
        with self._lock:
            self.sent += 1
            self.repeated += again

    def give_up(self) -> None:
        """Note that a push will not be tried again."""
        with self._lock:
            self.given_up += 1

    def refuse(self, why: str) -> None:
        """Note what a server said to a push that it refused."""
        with self._lock:
            self.refusals[why] += 1

    @property
    def taken(self) -> int:
        """How many pushes were taken."""
        return sum(count for status, count in self.pushes.items() if status[0] == "2")

    @property
    def refused(self) -> int:
        """How many pushes were answered with neither success nor trouble."""
        return sum(count for status, count in self.pushes.items() if status[0] in "34")

    @property
    def all_told(self) -> bool:
        """Whether the end of every job was asked for and answered."""
        return len(self._told) == len(self.jobs)
