"""How long the last jobs of one source and kind took: what the poll schedule learns from.

In Redis it is a list, the newest job first. A script adds the job that has just ended, and forgets
what is older than the last WINDOW jobs:

    redis.call('LPUSH', key, observation)   -- `observation(after, until)`, made in Python
    redis.call('LTRIM', key, 0, 199)        -- WINDOW - 1

Any number of workers may do so at once: no number is read and written back. `read` makes Durations
of an LRANGE of the whole list, and `merge` one of several shards'.
"""

from collections.abc import Iterable
from itertools import chain, islice, zip_longest
from math import inf
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
        return type(self)(((after, until), *self.ends[: WINDOW - 1]))

    def quantile(self, part: float) -> float:
        """Return the age by which this part of the jobs had ended; 0 if there are none."""
        middles = sorted((after + until) / 2 for after, until in self.ends)
        return middles[min(int(part * len(middles)), len(middles) - 1)] if middles else 0.0


def observation(after: float, until: float) -> bytes:
    """Return the element of the list in Redis for a job that ended between these ages."""
    return b"%.3f %.3f" % (after, until)


def read(elements: Iterable[bytes]) -> Durations:
    """Return what a list in Redis contains; an element that is no observation is left out."""
    return Durations(tuple(end for end in map(_end, elements) if end)[:WINDOW])


def merge(shards: Iterable[Durations]) -> Durations:
    """Return the newest jobs of several shards, as many of each as possible."""
    rows = zip_longest(*(shard.ends for shard in shards))
    return Durations(tuple(islice((end for end in chain(*rows) if end), WINDOW)))


def _end(element: bytes) -> tuple[float, float] | None:
    try:
        after, until = map(float, element.split())
    except ValueError:
        return None
    return (after, until) if 0 <= after <= until < inf else None
