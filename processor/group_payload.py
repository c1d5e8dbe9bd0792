"""A group as the API returns it, and the payload of its event."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from processor.event_types import GROUP_COMPLETED
from processor.group import MAX_LISTED, Group, GroupState, Member, Policy
from processor.model import State
from processor.payload import utc, utc_or_none

PENDING = "pending"  # the state of a member in lists, while it has not ended

_encode = msgspec.json.Encoder().encode


class GroupCounts(msgspec.Struct, frozen=True):
    """How many members are in which state."""

    total: int
    pending: int
    succeeded: int
    failed: int
    canceled: int
    expired: int


class GroupView(msgspec.Struct, frozen=True):
    """A group as the API returns it."""

    id: str
    state: GroupState
    policy: Policy
    open: bool
    counts: GroupCounts
    metadata: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None


class GroupMember(msgspec.Struct, frozen=True):
    """A member in a list: `pending`, or how it ended."""

    source: str
    id: str
    state: str


class GroupData(msgspec.Struct, frozen=True):
    """The `data` of `group.completed`."""

    id: str
    state: GroupState
    policy: Policy
    counts: GroupCounts
    metadata: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None
    jobs: Sequence[GroupMember]
    jobs_truncated: bool


class GroupEvent(msgspec.Struct, frozen=True):
    """The payload of `group.completed`."""

    type: str
    timestamp: datetime
    data: GroupData


def view(group: Group) -> GroupView:
    """A group as the API returns it."""
    return GroupView(
        id=group.id,
        state=group.state,
        policy=group.policy,
        open=group.open,
        counts=counts(group),
        metadata=group.metadata,
        created_at=utc(group.created_at),
        finished_at=utc_or_none(group.finished_at),
    )


def counts(group: Group) -> GroupCounts:
    """The counts of a group's members."""
    ended = [group.ended.get(state, 0) for state in _ENDS]
    return GroupCounts(group.total, group.pending, *ended)


_ENDS = (State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED)


def listed(name: str, member: Member) -> GroupMember:
    """A member in a list; its name is `source/id`."""
    source, _, job = name.partition("/")
    return GroupMember(source, job, member.end or PENDING)


def event_body(group: Group, members: Mapping[str, Member]) -> bytes:
    """The payload of the event of a group that has ended: always the same bytes."""
    at = group.finished_at or group.created_at
    names = _first_of_each_source(members) if len(members) > MAX_LISTED else list(members)
    data = GroupData(
        id=group.id,
        state=group.state,
        policy=group.policy,
        counts=counts(group),
        metadata=group.metadata,
        created_at=utc(group.created_at),
        finished_at=utc_or_none(group.finished_at),
        jobs=[listed(name, members[name]) for name in names[:MAX_LISTED]],
        jobs_truncated=len(names) > MAX_LISTED,
    )
    return _encode(GroupEvent(GROUP_COMPLETED, utc(at), data))


def _first_of_each_source(members: Mapping[str, Member]) -> list[str]:
    """The names with one of each source first: filters by source read them from the event."""
    first: dict[str, str] = {}
    for name in members:
        first.setdefault(name.partition("/")[0], name)
    return list(dict.fromkeys([*first.values(), *members]))
