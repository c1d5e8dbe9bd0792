"""How long the last jobs of one source and kind took: what the poll schedule learns from."""

from typing import Self

import msgspec

WINDOW = 200  # jobs; older ones are forgotten, so after so many jobs only new durations count


class Durations(msgspec.Struct, frozen=True):
    """The last jobs, newest first: each ended at an age between two numbers of seconds.

    A poll tells that a job has ended since the poll before it; a push, and a poll whose response
    says when the job ended, tell the age itself: then both numbers are equal.
    """

    ends: tuple[tuple[float, float], ...] = ()

    @property
    def count(self) -> int:
        """How many jobs are remembered."""
        return len(self.ends)

    def observe(self, after: float, until: float) -> Self:
        """Return these durations and that of one more job."""
        end = (round(after, 3), round(until, 3))
        return type(self)((end, *self.ends[: WINDOW - 1]))

    def quantile(self, part: float) -> float:
        """Return the age by which this part of the jobs had ended; 0 if there are none."""
        middles = sorted((after + until) / 2 for after, until in self.ends)
        return middles[min(int(part * len(middles)), len(middles) - 1)] if middles else 0.0
