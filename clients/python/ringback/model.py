"""What the calls return. Fields that a newer server adds are in `raw` alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

FINISHED = frozenset({"succeeded", "failed", "canceled", "expired"})
TIMES = frozenset({"created_at", "started_at", "finished_at", "deadline_at", "next_poll_at"})


@dataclass(frozen=True, kw_only=True)
class _Record:
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read an answer of the server."""
        known = {f.name for f in fields(cls)} - {"raw"}
        values = {name: _value(name, document[name]) for name in known & document.keys()}
        return cls(**values, raw=document)


def _value(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in TIMES and isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class Job(_Record):
    """A job. `state` is queued, running, succeeded, failed, canceled or expired.

    `status` is the provider's own word; `progress` is a fraction from 0 to 1; `error` has `code` and
    `message`; `partial` says that parts of a succeeded job failed.
    """

    source: str
    id: str
    state: str
    provider: str = ""
    kind: str | None = None
    aliases: tuple[str, ...] = ()
    attempt: int = 1
    sequence: int = 0
    previous_state: str | None = None
    status: str | None = None
    progress: float | None = None
    partial: bool = False
    result: Any = None
    error: Mapping[str, str | None] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int | None] | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    next_poll_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether the job has ended, in whichever way."""
        return self.state in FINISHED

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.state == "succeeded"


@dataclass(frozen=True, kw_only=True)
class Group(_Record):
    """A group of jobs. `state` is running, succeeded, partial, failed or expired."""

    id: str
    state: str
    policy: str = "all"
    open: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether the group has ended."""
        return self.state != "running"

    @property
    def succeeded(self) -> bool:
        """Whether all of its jobs have succeeded."""
        return self.state == "succeeded"


@dataclass(frozen=True, kw_only=True)
class Subscription(_Record):
    """A subscription; `secret` is shown only when it is created."""

    id: str
    url: str
    secret: str | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event: of the stream, where `cursor` is its place, or of a verified callback."""

    id: str  # the webhook-id: the same for every repetition
    type: str
    timestamp: datetime
    data: Mapping[str, Any]
    cursor: str | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any], event_id: str, cursor: str | None = None) -> Self:
        """Read the payload of an event."""
        at = datetime.fromisoformat(document["timestamp"])
        return cls(
            id=event_id, type=document["type"], timestamp=at, data=document["data"], cursor=cursor
        )
