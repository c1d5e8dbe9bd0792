"""The payload of an event as subscribers receive it, and a job as the API returns it."""

from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec

from processor.event_types import POLL_STALLED
from processor.model import Failure, Job, Origin, State

_encode = msgspec.json.Encoder().encode


class JobData(msgspec.Struct, frozen=True):
    """The `data` of a job event."""

    source: str
    provider: str
    kind: str | None
    id: str
    aliases: tuple[str, ...]
    attempt: int
    sequence: int
    state: State
    previous_state: State | None
    status: str | None
    progress: float | None
    partial: bool
    result: msgspec.Raw
    error: Failure | None
    metadata: dict[str, Any]
    origin: Origin | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


_TIMES = 3  # the last fields of JobData; a job has the others as they are, by the same names
_same_fields = attrgetter(*JobData.__struct_fields__[:-_TIMES])


class PollData(msgspec.Struct, frozen=True):
    """How the polls of a job go: `interval` is in seconds."""

    failures: int  # in a row
    last_error: str | None
    next_at: datetime | None  # None: it is being polled
    interval: float | None  # that the next poll was planned with


class PollStalledData(JobData, frozen=True, kw_only=True):
    """The `data` of a `job.poll_stalled`."""

    poll: PollData


class PollStalledEvent(msgspec.Struct, frozen=True):
    """The payload of a `job.poll_stalled`."""

    type: str
    timestamp: datetime
    data: PollStalledData


class JobEvent(msgspec.Struct, frozen=True):
    """The payload of a job event: Standard Webhooks' `type`, `timestamp`, `data`."""

    type: str
    timestamp: datetime
    data: JobData


_LAST = 253_402_300_799.0  # seconds since the epoch: the last second of the year 9999

utc = partial(datetime.fromtimestamp, tz=UTC)
"""Seconds since the epoch as a UTC time, which JSON shows with a `Z`."""


def utc_or_none(seconds: float | None) -> datetime | None:
    """The same of a time that may be unknown."""
    return None if seconds is None else utc(seconds)


def event_body(job: Job, kind: str) -> bytes:
    """The payload of a job's newest event: always the same bytes."""
    return _encode(JobEvent(kind, utc(job.status_at), JobData(*_data(job))))


def poll_data(job: Job, next_at: float | None, interval: float | None) -> PollData:
    """How the polls of a job go, with its next one."""
    failed = job.failed_polls
    count, error = (failed.count, failed.error) if failed else (0, None)
    shown = interval and round(
        max(interval, 0.0), 3
    )  # below 0: it goes ahead of others that are late
    return PollData(count, error, utc_or_none(next_at), shown)


def poll_stalled_body(job: Job, now: float, poll: PollData) -> bytes:
    """The payload of a job's `job.poll_stalled`."""
    data = PollStalledData(*_data(job), poll=poll)
    return _encode(PollStalledEvent(POLL_STALLED, utc(now), data))


def view(job: Job, poll: PollData | None) -> dict[str, Any]:
    """A job as the API returns it, ready to be encoded; `poll` is None if it is not polled."""
    fields = msgspec.structs.asdict(JobData(*_data(job)))
    del fields["origin"]
    return fields | {
        "counts": job.counts,
        "flags": job.flags,
        "deadline_at": utc(min(job.deadline_at, _LAST)),
        "next_poll_at": poll and poll.next_at,
        "poll": poll,
    }


def _data(job: Job) -> tuple[Any, ...]:
    """The values of JobData, in the order of its fields."""
    times = utc(job.created_at), utc_or_none(job.started_at), utc_or_none(job.finished_at)
    return _same_fields(job) + times
