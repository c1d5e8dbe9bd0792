"""The `?groups` lane of ingest: what jobs tell their groups, and the deadlines of groups.

An entry waits in the shard of its job until the group has it. It may be applied again, after a
crash or with others: the row of a member says which of its versions came last.
"""

from collections.abc import Sequence
from functools import partial

import msgspec
import structlog
from msgspec.structs import replace

from processor.errors import Unavailable
from processor.group import Group, GroupState, MemberEnd, expired, state_of, with_ends
from processor.model import Job, Membership
from processor.service.groups.step import Decision, change
from processor.service.jobs.advance import RETRY_AFTER
from processor.service.jobs.query import member
from processor.service.runtime.context import Context
from processor.service.runtime.in_parts import in_parts
from processor.store.groups import PIECE, GroupLookup, deadline_item, read_item
from processor.store.work_items import Claim, Settlement

TOGETHER = 100  # jobs that are read at the same time

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
    """
    members = await context.store.groups.members(group.id)
    pending = [name for name, member in members.items() if member.end is None]
    return await read_again(context, group, pending)


async def read_again(context: Context, group: Group, names: Sequence[str]) -> float:
    """Tell a group how the jobs of these members are now. The latest of their deadlines."""
    latest = 0.0
    for start in range(0, len(names), PIECE):
        jobs = await _jobs(context, names[start : start + PIECE])
        states = [state_of(j, Membership(group.id, group.uid, n)) for n, j in jobs.items()]
        if states:
            await apply_ends(context, states)
        latest = max([latest, *(job.deadline_at for job in jobs.values())])
    return latest


async def _jobs(context: Context, names: Sequence[str]) -> dict[str, Job]:
    """The jobs of members, as far as they are watched."""
    found = await in_parts(partial(member, context), names, TOGETHER)
    return {name: f.job for name, f in zip(names, found, strict=True) if f}
