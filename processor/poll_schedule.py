"""When to poll a job again: the poll schedule, learnt from how long jobs really took.

`PollSchedule.learn` is called once per some seconds for each source and kind, `gap` for each poll.
"""

from typing import Self

import msgspec

from processor import schedule
from processor.job_durations import Durations

MAX_FIRST = 300.0  # seconds: a learnt first delay is not longer


class PollSchedule(msgspec.Struct, frozen=True):
    """The polls of the jobs of one source and kind."""

    every: tuple[float, float]  # the profile's first and longest interval
    first: float  # seconds from the first time that we learn of a job to its first poll

    @classmethod
    def learn(
        cls,
        durations: Durations,
        every: tuple[float, float],
        after: float,
        *,
        loss: float = 1.0,
    ) -> Self:
        """Return the schedule for jobs that last as long as these did.

        `after` is the profile's first delay. `loss` is the part of the pushes that never arrive: 1 where
        the source has none, or none that can be trusted.
        """
        del durations, loss  # so far it is the profile's schedule
        return cls(every, after)

    def gap(self, age: float, *, remaining: float | None = None, waited: bool = False) -> float:
        """Return the seconds from a poll at this age to the next one.

        The caller may subtract up to POLL_JITTER of it. `remaining`: seconds that the provider says the job
        still takes; `waited`: whether somebody waits for the job now.
        """
        del remaining, waited
        return schedule.poll_interval(age, self.every, 0.0)


def remaining_time(age: float, progress: float | None) -> float | None:
    """Return how long a job of this age and progress (0 to 1) still takes, if that is known."""
    if progress is None or not 0 < progress <= 1:
        return None
    return age * (1 - progress) / progress
