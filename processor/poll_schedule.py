"""When to poll a job again: the poll schedule, learnt from how long the last jobs took.

The rule: poll at a rate that follows the square root of the hazard, and so often that, on the jobs
learnt from, an end is found as promptly as by the profile's own schedule. docs/polling.md explains
it. `PollSchedule.learn` is called once per some seconds for each source and kind, `gap` per poll.
"""

import math
from collections.abc import Callable
from itertools import accumulate, pairwise

import msgspec

from processor import schedule
from processor.hazard import PastJobs, interpolate
from processor.job_durations import Durations

MAX_GAP = 0.1  # a gap is at most this part of the age, or the profile's longest interval
MAX_FIRST = 300.0  # seconds: a learnt first delay is not longer …
FIRST_ENDED = 0.01  # … nor so long that more than this part of the jobs learnt from had ended
TRUSTED = 30  # jobs after which what was learnt counts alone; before, the profile's schedule too
MEAN_JITTER = 1 - schedule.POLL_JITTER / 2
CLOSE = 0.01  # part by which the expected delay may differ from the profile's
SIMILAR = 0.05  # part of the age within which the gaps between polls hardly change
MAX_ROUNDS = 12  # to find the rate at which it does not


class PollSchedule(msgspec.Struct, frozen=True):
    """The polls of the jobs of one source and kind.

    `polls` is how many polls are made until each of `ages`, as a continuous number: the integral of
    the rate. Without it, and beyond the last age, the schedule is the profile's.
    """

    every: tuple[float, float]  # the profile's first and longest interval
    first: float  # seconds from the first time that we learn of a job to its first poll
    ages: tuple[float, ...] = ()
    polls: tuple[float, ...] = ()

    @classmethod
    def learn(
        cls,
        durations: Durations,
        every: tuple[float, float],
        after: float,
        *,
        loss: float = 1.0,
    ) -> "PollSchedule":
        """Return the schedule for jobs that last as long as these did.

        `after` is the profile's first delay. `loss` is the part of the pushes that never arrive: 1 where
        the source has none, or none that can be trusted.
        """
        profile = cls(every, after)
        if not durations.count:
            return profile
        jobs = PastJobs.of(durations, every[0] / 2)
        trust = min(1.0, durations.count / TRUSTED)
        own = [(1 - trust) * (b - a) / profile.gap((a + b) / 2) for a, b in pairwise(jobs.ages)]
        latest = max(after, min(MAX_FIRST, jobs.first_end(FIRST_ENDED)))

        def at(rate: float, loss: float = 1.0) -> "PollSchedule":
            polls = [
                (ours + rate * learnt) * (1 - trust + trust * needed(loss, running))
                for ours, learnt, running in zip(own, jobs.root_hazard, jobs.running, strict=False)
            ]
            found = cls(every, 0.0, tuple(jobs.ages), tuple(accumulate(polls, initial=0.0)))
            first = max(after, min(latest, found._next_poll(0.0)))
            return msgspec.structs.replace(found, first=first)

        return at(_rate(at, jobs, _delay(profile, jobs)), loss)

    def gap(self, age: float, *, remaining: float | None = None) -> float:
        """Return the seconds from a poll at this age to the next one.

        The caller may subtract up to POLL_JITTER of it. `remaining`: seconds that the job still takes by
        its provider's word.
        """
        most = max(self.every[1], MAX_GAP * age)
        gap = self._next_poll(age) - age
        if remaining is not None:
            done = age / (age + remaining) if remaining > 0 else 1.0
            prompt = schedule.poll_interval(age, self.every, 0.0)
            gap += done * (max(min(remaining / 2, most), prompt) - gap)
        return max(self.every[0], min(most, gap))

    def _next_poll(self, age: float) -> float:
        """Return the age at which one more poll was made than at this age, without bounds."""
        if not self.ages or age >= self.ages[-1]:
            return age + schedule.poll_interval(age, self.every, 0.0)
        polls = interpolate(self.ages, self.polls, age) + 1.0
        return (
            self.ages[-1] if polls > self.polls[-1] else interpolate(self.polls, self.ages, polls)
        )


def remaining_time(age: float, progress: float | None) -> float | None:
    """Return how long a job of this age and progress (0 to 1) still takes, if that is known."""
    if progress is None or not 0 < progress <= 1:
        return None
    return age * (1 - progress) / progress


def needed(loss: float, running: float) -> float:
    """Return by how much rarer a job is polled that has pushes, while no push came.

    It is the square root of the chance that the job has ended and its push is lost, if only `running`
    of all jobs take longer: a push that is overdue is probably lost.
    """
    lost = loss + (1 - loss) * running
    return math.sqrt(loss / lost) if lost else 1.0


def _rate(at: Callable[[float], "PollSchedule"], jobs: PastJobs, goal: float) -> float:
    """Return the rate at which the expected delay is `goal`."""
    rate, low, high = 1.0, 0.0, math.inf
    for _ in range(MAX_ROUNDS):
        part = _delay(at(rate), jobs) / max(goal, 1e-9)
        if abs(part - 1) < CLOSE or high < low * (1 + CLOSE):
            break
        low, high = (rate, high) if part > 1 else (low, rate)
        rate *= max(0.25, min(4.0, part))
        if not low < rate < high:
            rate = math.sqrt(low * high)
    return rate


def _delay(polled: PollSchedule, jobs: PastJobs) -> float:
    """Return how late the end of a job is found, in the mean."""
    age, running, lived, delay = 0.0, 1.0, 0.0, 0.0
    gap, polls = polled.first, 1
    while running:
        age += polls * gap
        still_running, until = jobs.at(age)
        ended = running - still_running
        delay += ended * gap / 2 if polls > 1 else running * gap - (until - lived)
        running, lived = still_running, until
        gap = polled.gap(age) * MEAN_JITTER
        polls = max(1, int(age * SIMILAR / gap))
    return delay
