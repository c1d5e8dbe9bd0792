"""Statistics of a source: what the last jobs that ended have shown about its pushes.

They are not a part of any promise: some may be lost, or counted twice.
"""

from collections.abc import Sequence
from typing import Literal, Self

import msgspec
from msgspec.structs import replace

from processor.push_loss import PushLoss


class JobEnd(msgspec.Struct, frozen=True):
    """How the end of a polled job became known: its push, a poll, or a push after that poll."""

    found_by: Literal["push", "poll", "late_push"]
    ended_at: float


class SourceStatistics(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about one source."""

    written_at: float = 0.0
    push_loss: PushLoss = PushLoss()

    def add(self, ends: Sequence[JobEnd], now: float) -> Self:
        """Count further jobs."""
        found_by = [end.found_by for end in ends]
        late = [end.ended_at for end in ends if end.found_by == "late_push"]
        loss = self.push_loss.add(found_by.count("push"), found_by.count("poll"), late, now)
        return replace(self, written_at=now, push_loss=loss)
