"""The `?groups` lane of ingest: what jobs tell their groups, and the deadlines of groups.

An entry waits in the shard of its job until the group has it. It may be applied again, after a
crash or with others: the row of a member says which of its versions came last.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import msgspec
import structlog
from msgspec.structs import replace

from processor.errors import Unavailable
from processor.group import (
    Group,
    GroupState,
    Member,
    MemberEnd,
    deletion_of,
    expired,
    state_of,
    with_ends,
)
from processor.model import Job, Membership
from processor.service.groups.step import Decision, change
from processor.service.jobs.advance import RETRY_AFTER
from processor.service.jobs.query import member
from processor.service.runtime.context import Context
from processor.service.runtime.in_parts import in_parts
from processor.store.groups import PIECE, GroupLookup, deadline_item, read_item
from processor.store.work_items import Claim, Settlement

TOGETHER = 100  # jobs that are read at the same time
NO_ROWS: Mapping[str, Member] = MappingProxyType({})

log = structlog.get_logger()


def group_of(claim: Claim) -> str:
    """The group of an entry; of one that cannot be read, a name of its own: it fails alone."""
    try:
        entry = read_item(claim)
    except msgspec.MsgspecError:
        return claim.item
    return entry.membership.group if isinstance(entry, MemberEnd) else entry.group


async def apply(context: Context, claims: Sequence[Claim]) -> None:
    """Take one group through its claimed entries of one shard, and settle them.

    A deadline that is not over waits on.
    """
    try:
        entries = [read_item(claim) for claim in claims]
        ends = [entry for entry in entries if isinstance(entry, MemberEnd)]
        group = await apply_ends(context, ends) if ends else None
        for entry in entries:
            if not isinstance(entry, MemberEnd):
                group = await end_at_deadline(context, entry.group)
        running = group is not None and group.state is GroupState.RUNNING
        again = deadline_item(group).at if group and running else None
        settled = [
            Settlement(claim, None if isinstance(entry, MemberEnd) else again, claim.payload)
            for claim, entry in zip(claims, entries, strict=True)
        ]
    except Unavailable:
        raise
    except Exception:
        log.exception("update_error", item=claims[0].item)
        later = await context.store.now() + RETRY_AFTER
        settled = [Settlement(claim, later, claim.payload) for claim in claims]
    await context.store.backlogs.settle(settled)


async def apply_ends(context: Context, ends: Sequence[MemberEnd]) -> Group | None:
    """Tell a group how its members ended; None if it is not there any more."""

    def decide(lookup: GroupLookup, _: float) -> Decision | None:
        return with_ends(lookup.group, lookup.members, ends) if lookup.group else None

    names = {end.membership.member for end in ends}
    return await change(context, ends[0].membership.group, decide, list(names))


async def end_at_deadline(context: Context, group: str) -> Group | None:
    """End a group whose deadline has passed, unless its members have ended or have more time."""
    found = (await context.store.groups.read(group)).group
    if found is None or found.state is not GroupState.RUNNING:
        return found
    latest = await recheck(context, found)

    def decide(lookup: GroupLookup, now: float) -> Decision | None:
        group = lookup.group
        if group is None:
            return None
        if not group.own_deadline and latest > now:  # one of its jobs runs again
            return replace(group, deadline_at=max(latest, group.deadline_at)), {}
        return expired(group, now), {}

    return await change(context, group, decide)


async def recheck_all(context: Context) -> None:
    """Read the jobs of all running groups again: after a start, or when Redis was replaced."""
    for keys in context.store.shards:
        async for group in context.store.groups.running(keys):
            await recheck(context, group)


async def recheck(context: Context, group: Group) -> float:
    """Read the jobs of pending members again, for entries that a Redis has lost together with its
    last second, in a cluster. The latest of their deadlines.

    A member without a job has been deleted, unless it is still to be watched.
    """
    members = await context.store.groups.members(group.id)
    pending = {name: row for name, row in members.items() if row.end is None}
    all_watched = group.filled and not group.open
    return await read_again(context, group, list(pending), pending if all_watched else {})


async def read_again(
    context: Context, group: Group, names: Sequence[str], watched: Mapping[str, Member] = NO_ROWS
) -> float:
    """Tell a group how the jobs of these members are now. The latest of their deadlines.

    `watched` are the rows, read before, of members that had jobs: without one they are canceled.
    """
    latest = 0.0
    for start in range(0, len(names), PIECE):
        memberships = [Membership(group.id, group.uid, n) for n in names[start : start + PIECE]]
        jobs = await _jobs(context, memberships)
        states = [state_of(job, membership) for membership, job in jobs.items()]
        gone = [m for m in memberships if m not in jobs and m.member in watched]
        states += [deletion_of(m, watched[m.member]) for m in gone]
        if states:
            await apply_ends(context, states)
        latest = max([latest, *(job.deadline_at for job in jobs.values())])
    return latest


async def _jobs(context: Context, memberships: Sequence[Membership]) -> dict[Membership, Job]:
    """The jobs of members, as far as they are watched as such.

    A job that was deleted and is watched again does not belong to the group.
    """
    names = [membership.member for membership in memberships]
    found = await in_parts(partial(member, context), names, TOGETHER)
    pairs = zip(memberships, found, strict=True)
    return {membership: f.job for membership, f in pairs if f and membership in f.job.groups}
