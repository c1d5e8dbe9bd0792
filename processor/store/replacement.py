"""Whether the Redis that we talk to, or the data in it, was replaced: decided without I/O.

Each process leaves a mark in Redis at every look. If its last mark is not there at the next look,
Redis lost at least what was written after it.
"""

from enum import StrEnum
from typing import NamedTuple

REMEMBERED = 15.0  # seconds after which others remove the mark of a process that stopped looking


class Replacement(StrEnum):
    """What happened to Redis since the last look."""

    RESTARTED = "restarted"  # the same data, whole as far as we can tell
    PROMOTED = "promoted"  # a replica took the place of its master
    RESTORED = "restored"  # the same store as it was at an earlier time
    EMPTIED = "emptied"  # there was nothing
    EXCHANGED = "exchanged"  # the data of another Ringback

    @property
    def whole(self) -> bool:
        """Whether the data is what it was."""
        return self is Replacement.RESTARTED


class Seen(NamedTuple):
    """What one look saw. INFO may be forbidden to us: then only the store itself tells."""

    at: float  # seconds, Redis' clock
    run_id: str | None = None  # of the server process
    replid: str | None = None  # of the history of its data
    replid2: str | None = None  # of the history that it continues
    store: str | None = None  # the store's own random id; None: there is no store
    made: float = 0.0  # when that store was made, seconds
    mark: str | None = None  # our last one, as it is there


def replaced(before: Seen, now: Seen, marks: frozenset[str]) -> Replacement | None:
    """What happened between two looks; `marks` are those that we may have left there."""
    if now.store is None:
        return Replacement.EMPTIED
    if now.store != before.store:  # perhaps emptied, and made by a process that looked earlier
        return Replacement.EMPTIED if now.made > before.at else Replacement.EXCHANGED
    if now.replid2 and now.replid2 == before.replid:
        return Replacement.PROMOTED
    if _lost(before, now, marks):
        return Replacement.RESTORED
    if (now.run_id, now.replid) != (before.run_id, before.replid):
        return Replacement.RESTARTED
    return None


def _lost(before: Seen, now: Seen, marks: frozenset[str]) -> bool:
    """Whether our last mark is gone, though nobody had a reason to remove it."""
    slept = now.at - before.at >= REMEMBERED
    return bool(marks) and now.mark not in marks and not (now.mark is None and slept)


def lost_seconds(mark: str | None, last: float) -> float | None:
    """How much older the mark that is there is than our last one; None if there is none."""
    return None if mark is None else max(last - float(mark.partition(" ")[0]), 0.0)
