"""Decides, without I/O, whether Redis or the data in it was replaced.

Each process leaves a mark in Redis at every check. If its last mark is missing at the next check,
Redis lost at least what was written after it.
"""

from enum import StrEnum
from typing import NamedTuple

MILLISECOND = 0.001  # the time of a check is exact, that of a store's making a whole millisecond
REMEMBERED = 15.0  # seconds after which others remove the mark of a process that checks no more


class Replacement(StrEnum):
    """What happened to Redis since the last check."""

    RESTARTED = "restarted"  # the same data, complete as far as known
    PROMOTED = "promoted"  # a replica took the place of its master
    RESTORED = "restored"  # the same store as it was at an earlier time
    EMPTIED = "emptied"  # there was nothing
    EXCHANGED = "exchanged"  # the data of another Ringback

    @property
    def whole(self) -> bool:
        """Whether the data is still the same."""
        return self is Replacement.RESTARTED


class ServerState(NamedTuple):
    """What one check found. If INFO is denied, only the fields of the store are known."""

    at: float  # seconds, Redis' clock
    run_id: str | None = None  # of the server process
    replid: str | None = None  # of the history of its data
    replid2: str | None = None  # of the history that it continues
    store: str | None = None  # the store's own random id; None: there is no store
    made: float = 0.0  # when that store was made, seconds
    mark: str | None = None  # of this process, as Redis has it


def replaced(before: ServerState, now: ServerState, marks: frozenset[str]) -> Replacement | None:
    """What happened between two checks; `marks` are those that this process may have left."""
    if now.store is None:
        return Replacement.EMPTIED
    if now.store != before.store:  # perhaps emptied, and made by a process that checked earlier
        made_since = now.made > before.at - MILLISECOND
        return Replacement.EMPTIED if made_since else Replacement.EXCHANGED
    if now.replid2 and now.replid2 == before.replid:
        return Replacement.PROMOTED
    if _lost(before, now, marks):
        return Replacement.RESTORED
    if (now.run_id, now.replid) != (before.run_id, before.replid):
        return Replacement.RESTARTED
    return None


def _lost(before: ServerState, now: ServerState, marks: frozenset[str]) -> bool:
    """Whether our last mark is missing, though no process had a reason to remove it."""
    slept = now.at - before.at >= REMEMBERED
    return bool(marks) and now.mark not in marks and not (now.mark is None and slept)


def lost_seconds(mark: str | None, last: float) -> float | None:
    """By how many seconds Redis' mark is older than our last one; None if it has none."""
    return None if mark is None else max(last - float(mark.partition(" ")[0]), 0.0)
