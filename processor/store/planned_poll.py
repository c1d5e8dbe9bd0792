"""The payload of an item in the `poll` backlog: the interval that its poll was planned with."""

from typing import NamedTuple


class PlannedPoll(NamedTuple):
    """A job's next poll. Times in seconds."""

    at: float | None  # not before a pause of its source ends; None: it is being made
    interval: float | None  # since the one before; None: it was asked for, or is the first one


class WaitingPoll(NamedTuple):
    """An item of the `poll` backlog that waits."""

    item: str
    at: float
    interval: float | None  # as in PlannedPoll


def encode_interval(interval: float | None) -> bytes:
    """The payload of a poll that was planned so many seconds ahead."""
    return b"0" if interval is None else b"%.3f" % interval


def decode_interval(payload: bytes) -> float | None:
    """The interval; None also for a whole number, which was once a count of failures."""
    return float(payload) if b"." in payload else None
