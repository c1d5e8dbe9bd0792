"""The payload of an event as subscribers receive it, and a job as the API returns it."""

from datetime import UTC, datetime
from typing import Any

import msgspec

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


class JobEvent(msgspec.Struct, frozen=True):
    """The payload of a job event: Standard Webhooks' `type`, `timestamp`, `data`."""

    type: str
    timestamp: datetime
    data: JobData


def utc(seconds: float) -> datetime:
    """Seconds since the epoch as a UTC time, which JSON shows with a `Z`."""
    return datetime.fromtimestamp(seconds, UTC)


def _utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def event_body(job: Job, kind: str) -> bytes:
    """The payload of a job's newest event: always the same bytes."""
    return _encode(JobEvent(kind, utc(job.status_at), JobData(*_data(job))))


def view(job: Job, next_poll_at: float | None) -> dict[str, Any]:
    """A job as the API returns it, ready to be encoded."""
    fields = msgspec.structs.asdict(JobData(*_data(job)))
    del fields["origin"]
    return fields | {
        "counts": job.counts,
        "flags": job.flags,
        "deadline_at": utc(job.deadline_at),
        "next_poll_at": _utc(next_poll_at),
    }


def _data(job: Job) -> tuple[Any, ...]:
    """The values of JobData, in the order of its fields."""
    return (
        job.source,
        job.provider,
        job.kind,
        job.id,
        job.aliases,
        job.attempt,
        job.sequence,
        job.state,
        job.previous_state,
        job.status,
        job.progress,
        job.partial,
        job.result,
        job.error,
        job.metadata,
        job.origin,
        utc(job.created_at),
        _utc(job.started_at),
        _utc(job.finished_at),
    )
