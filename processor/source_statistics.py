"""Statistics of a source: how long its last jobs took, and how many of its pushes never came.

They are not a part of any promise: some may be lost, or counted twice.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal, Self

import msgspec
from msgspec.structs import replace

from processor.job_durations import Durations
from processor.poll_schedule import PollSchedule
from processor.push_loss import PushLoss

NO_DURATIONS = Durations()


class JobEnd(msgspec.Struct, frozen=True):
    """What the end of one polled job has shown.

    `found_by` is None where no pushes are received. `lasted` is after how many seconds at least and
    at most it ended; None for a push that came after the poll that found the end.
    """

    kind: str | None
    ended_at: float
    found_by: Literal["push", "poll", "late_push"] | None
    lasted: tuple[float, float] | None = None


class SourceStatistics(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """What is known about one source; what follows from it is computed once."""

    written_at: float = 0.0
    push_loss: PushLoss = PushLoss()
    by_kind: dict[str, Durations] = {}  # the default kind is ""

    def durations(self, kind: str | None) -> Durations:
        """How long its last jobs of a kind took."""
        return self.by_kind.get(kind or "", NO_DURATIONS)

    def add(self, ends: Sequence[JobEnd], now: float) -> Self:
        """Count further jobs."""
        found_by = [end.found_by for end in ends]
        late = [end.ended_at for end in ends if end.found_by == "late_push"]
        loss = self.push_loss.add(found_by.count("push"), found_by.count("poll"), late, now)
        by_kind = dict(self.by_kind)
        for end in ends:
            if end.lasted:
                known = by_kind.get(end.kind or "", NO_DURATIONS)
                by_kind[end.kind or ""] = known.observe(*end.lasted)
        return replace(self, written_at=now, push_loss=loss, by_kind=by_kind)

    def poll_schedule(
        self, kind: str | None, every: tuple[float, float], after: float, *, pushes: bool
    ) -> PollSchedule:
        """When jobs of a kind are polled, if they were as the last ones.

        `pushes`: whether pushes about them are received.
        """
        key = (kind, every, after, pushes)
        found = self._schedules.get(key)
        if found is None:
            loss = self.push_loss.factor if pushes else 1.0
            found = PollSchedule.learn(self.durations(kind), every, after, loss=loss)
            self._schedules[key] = found
        return found

    @cached_property
    def _schedules(self) -> dict[tuple[object, ...], PollSchedule]:
        return {}


NO_STATISTICS = SourceStatistics()
