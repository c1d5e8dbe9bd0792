"""A group: many jobs and one callback. How the ends of its members complete it, without I/O.

    running ──▶ succeeded | partial | failed     all members have ended; with `fail_fast`, one failed
       └──────▶ expired                          its deadline passed first

A member ends with its job, also when our deadline expires the job. It is pending again if the job
runs again before the group has ended, and counts as canceled if the job is deleted. A group that
has ended never changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from processor.model import FINAL, Callback, Job, Membership, State

MAX_MEMBERS = 10_000
MAX_GROUPS = 32  # that run, and that a job is a member of
MAX_LISTED = 1_000  # members in the event


class Policy(StrEnum):
    """When a group ends."""

    ALL = "all"  # once all members have ended
    FAIL_FAST = "fail_fast"  # at the first member that did not succeed


class GroupState(StrEnum):
    """The state of a group."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"  # all members did
    PARTIAL = "partial"  # some did
    FAILED = "failed"  # none did; or, with `fail_fast`, one did not
    EXPIRED = "expired"  # its deadline passed while members were pending


class MemberVersion(NamedTuple):
    """Orders what is known of one member: the later record, attempt and event count."""

    created_at: float = 0.0
    attempt: int = 0
    sequence: int = 0


DELETED = 1 << 53  # the sequence of a deletion: after all events of the record


class Member(msgspec.Struct, frozen=True, array_like=True):
    """What a group knows of one member: its place in the list, and how its job ended."""

    place: int
    end: State | None = None  # None: pending
    version: MemberVersion = MemberVersion()


class MemberEnd(msgspec.Struct, frozen=True):
    """What a job tells a group: that it has ended, or (`end` is None) that it runs again."""

    membership: Membership
    end: State | None
    version: MemberVersion


class Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of a group."""

    id: str
    uid: str  # unique per record, even if the id is used again; a part of the event's id
    request: str  # digest of the request that created it: the same request changes nothing
    policy: Policy
    created_at: float
    deadline_at: float
    own_deadline: bool  # given by the caller; else the latest of the members'
    open: bool = False  # takes more members, and does not end before it is closed
    filled: bool = False  # all members of its creation are watched
    metadata: dict[str, Any] = {}
    callback: Callback | None = None
    total: int = 0
    ended: dict[State, int] = {}  # how many members ended in which state
    sources: tuple[str, ...] = ()  # of the members
    state: GroupState = GroupState.RUNNING
    finished_at: float | None = None
    trace: str | None = None  # `traceparent` of its creation

    @property
    def succeeded(self) -> int:
        """How many members succeeded."""
        return self.ended.get(State.SUCCEEDED, 0)

    @property
    def pending(self) -> int:
        """How many members have not ended."""
        return self.total - sum(self.ended.values())


def event_id(group: Group) -> str:
    """The id of the group's one event."""
    return f"evt_g{group.uid}_final"


def end_of(job: Job | None) -> State | None:
    """How a job has ended; None while it has not."""
    return job.state if job and job.state in FINAL else None


def ends_of(before: Job | None, job: Job) -> list[MemberEnd]:
    """What a job tells its groups after a change; groups that are new learn of a finished job."""
    old = {m: end_of(before) for m in before.groups} if before else {}
    return [state_of(job, m) for m in job.groups if end_of(job) != old.get(m)]


def state_of(job: Job, membership: Membership) -> MemberEnd:
    """What a job tells one of its groups now."""
    version = MemberVersion(job.created_at, job.attempt, job.sequence)
    return MemberEnd(membership, end_of(job), version)


def deletions_of(job: Job) -> list[MemberEnd]:
    """What the deletion of a job tells its groups."""
    version = MemberVersion(job.created_at, job.attempt, DELETED)
    return [MemberEnd(m, State.CANCELED, version) for m in job.groups]


def deletion_of(membership: Membership, row: Member) -> MemberEnd:
    """What a group concludes if the job of this row is gone: later than all that it knew of that
    job, and older than a job that is watched again.
    """
    return MemberEnd(membership, State.CANCELED, row.version._replace(sequence=DELETED))


def with_members(
    group: Group, names: Sequence[str], sources: Iterable[str]
) -> tuple[Group, dict[str, Member]]:
    """The group with new members, all pending, and their rows."""
    rows = {name: Member(group.total + place) for place, name in enumerate(names)}
    all_sources = tuple(sorted({*group.sources, *sources}))
    return replace(group, total=group.total + len(rows), sources=all_sources), rows


def with_ends(
    group: Group, members: Mapping[str, Member], ends: Iterable[MemberEnd]
) -> tuple[Group, dict[str, Member]]:
    """The group after what its members' jobs told it, and the rows that change.

    What is older than the row, about no member, or meant for an earlier group with this id changes
    nothing.
    """
    changed: dict[str, Member] = {}
    ended = dict(group.ended)
    for new in ends:
        name = new.membership.member
        row = changed.get(name) or members.get(name)
        if new.membership.uid != group.uid or row is None or new.version <= row.version:
            continue
        changed[name] = Member(row.place, new.end, new.version)
        for end, more in ((row.end, -1), (new.end, 1)):
            if end is not None:
                ended[end] = ended.get(end, 0) + more
    counts = {end: count for end, count in ended.items() if count}
    return replace(group, ended=counts) if changed else group, changed


def completed(group: Group, now: float) -> Group:
    """The group, ended if its members' ends and its policy say so."""
    state = _outcome(group)
    if group.state is not GroupState.RUNNING or state is None:
        return group
    return replace(group, state=state, finished_at=now)


def expired(group: Group, now: float) -> Group:
    """The group, ended if its deadline has passed."""
    if now < group.deadline_at:
        return group
    return replace(group, state=GroupState.EXPIRED, finished_at=now)


def _outcome(group: Group) -> GroupState | None:
    """How a running group ends now; None if it does not."""
    if group.open or not group.filled:
        return None
    failures = sum(group.ended.values()) - group.succeeded
    if group.policy is Policy.FAIL_FAST and failures:
        return GroupState.FAILED
    if group.pending:
        return None
    if not failures:
        return GroupState.SUCCEEDED
    return GroupState.PARTIAL if group.succeeded else GroupState.FAILED
