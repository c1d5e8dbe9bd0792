"""Creates a group, adds members to it, closes and deletes it.

The members are in the group, pending, before any of them is watched, and the group ends only once
all are watched: so a member that ends meanwhile is not missed, and no group ends early. A creation
that was cut short is finished by its repetition.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec
from msgspec.structs import replace

from processor.errors import Conflict, InvalidValue, NotFound
from processor.group import MAX_GROUPS, MAX_MEMBERS, Group, GroupState, Member, with_members
from processor.model import Job, Membership
from processor.service.groups.group_request import GroupRequest, ParsedGroup, ParsedMember, parse
from processor.service.groups.member_ends import read_again
from processor.service.groups.step import Decision, change
from processor.service.jobs import watch, watch_request
from processor.service.jobs.query import JobLocation, locate, source_of
from processor.service.jobs.watch_request import ParsedWatchRequest, WatchRequest
from processor.service.runtime.context import Context
from processor.store.groups import PIECE, GroupLookup
from processor.store.reserve import group_price, watch_price

_encode = msgspec.json.Encoder().encode

TOGETHER = 8  # members that are read or watched at the same time: more delay other calls
EMPTY_DEADLINE = 72 * 3600.0  # seconds, of a group that is created without members


async def create(context: Context, body: GroupRequest, trace: str | None) -> tuple[Group, bool]:
    """Create a group and watch its members; True if it is new.

    The same request again changes nothing; Conflict if the id is another group's. InvalidValue, and
    nothing is written, if one of the members cannot be watched.
    """
    now = await context.store.now()
    request = await parse(context, body, now, trace)
    group, new = request.group, False
    found = (await context.store.groups.read(group.id)).group
    if found is None:
        latest = await _latest_deadline(context, request, now)
        group = group if group.own_deadline else replace(group, deadline_at=latest)
        found = await _write(context, request, group)
        new = found.uid == group.uid
    if found.request != group.request:
        raise Conflict(f"id: {group.id!r} is another group already")
    if not found.filled and found.state is GroupState.RUNNING:
        await _write_rows(context, found, list(request.members))
        await _watch_all(context, found, request.members)
        if not new:  # a member may have been deleted meanwhile, and is watched again now
            await read_again(context, found, list(request.members))
        found = await change(context, group.id, _filled)
    if found is None:
        raise missing(group.id)
    return found, new


async def _latest_deadline(context: Context, request: ParsedGroup, now: float) -> float:
    """The latest deadline of the members, as they will be; InvalidValue if one cannot be watched."""
    latest, price = now if request.members else now + EMPTY_DEADLINE, 0
    members = list(request.members.values())
    for start in range(0, len(members), TOGETHER):
        part = members[start : start + TOGETHER]
        found = await asyncio.gather(*(_locate(context, member.request) for member in part))
        for member, location in zip(part, found, strict=True):
            try:
                job = _checked(context, request.group.id, member.request, location, now)
            except InvalidValue as error:
                raise member.refused(error) from None
            latest = max(latest, job.deadline_at)
            price += watch_price(0, new=location.lookup.job is None)
    async with context.store.memory.admitted(price):  # each is admitted again when it is watched
        return latest


async def _locate(context: Context, request: ParsedWatchRequest) -> JobLocation:
    """Where a member is; if it has as many groups as it may, it forgets those that are over first."""
    location = await locate(context, request.source.name, request.id)
    job = location.lookup.job
    if job is None or len(job.groups) < MAX_GROUPS:
        return location
    running = await _running(context, job)
    if len(running) == len(job.groups):
        return location
    await watch.keep_groups(context, location, running)
    return await locate(context, request.source.name, request.id)


async def _running(context: Context, job: Job) -> list[Membership]:
    """The groups of a job that have not ended; what it tells the others changes nothing."""
    found = await asyncio.gather(*(context.store.groups.read(m.group) for m in job.groups))
    rows = [(m, lookup.group) for m, lookup in zip(job.groups, found, strict=True)]
    return [m for m, g in rows if g and g.uid == m.uid and g.state is GroupState.RUNNING]


def _checked(
    context: Context, group: str, request: ParsedWatchRequest, location: JobLocation, now: float
) -> Job:
    """The job as a member of a group will be; InvalidValue if it cannot be one."""
    before = location.lookup.job
    groups = {m.group for m in before.groups} if before else set()
    if group not in groups and len(groups) >= MAX_GROUPS:
        raise InvalidValue(f"a job is a member of at most {MAX_GROUPS} running groups")
    return watch.check(context, request, before, now)


async def _write(context: Context, request: ParsedGroup, group: Group) -> Group:
    """Write a new group with all members pending; the group that has its id now."""
    sources = {member.request.source.name for member in request.members.values()}
    grown, rows = with_members(group, list(request.members), sources)
    first, store = dict(islice(rows.items(), PIECE)), context.store

    def decide(lookup: GroupLookup, _: float) -> Decision:
        return (grown, first) if lookup.group is None else (lookup.group, {})

    price = group_price(len(rows), len(_encode(group.metadata)))
    async with store.memory.admitted(price):
        if request.callback:
            keys, ends = store.groups.shard(group.id), store.groups.ends(group)
            await store.subscriptions.save_callback(keys, request.callback, ends)
        return await change(context, group.id, decide) or grown


async def _write_rows(context: Context, group: Group, names: Sequence[str]) -> None:
    """Write the rows of further members, as far as they are not there."""
    for start in range(PIECE, len(names), PIECE):
        rows = {n: Member(place) for place, n in enumerate(names[start : start + PIECE], start)}

        def decide(
            lookup: GroupLookup, _: float, new: Mapping[str, Member] = rows
        ) -> Decision | None:
            missing = {n: row for n, row in new.items() if n not in lookup.members}
            return (lookup.group, missing) if lookup.group else None

        await change(context, group.id, decide, list(rows))


async def _watch_all(context: Context, group: Group, members: Mapping[str, ParsedMember]) -> None:
    names = list(members)
    for start in range(0, len(names), TOGETHER):
        part = names[start : start + TOGETHER]
        await asyncio.gather(*(_watch(context, group, n, members[n].request) for n in part))


async def _watch(context: Context, group: Group, name: str, request: ParsedWatchRequest) -> None:
    """Watch a job as a member of a group, which learns from now on how it ends."""
    membership = Membership(group.id, group.uid, name)
    await watch.register(context, request._replace(membership=membership))


def _filled(lookup: GroupLookup, _: float) -> Decision | None:
    return (replace(lookup.group, filled=True), {}) if lookup.group else None


async def add(
    context: Context, group: str, job: tuple[str, str], body: WatchRequest, trace: str | None
) -> Group:
    """Watch a job (source, id) as a member of an open group; Conflict if the group takes no more."""
    (source, job_id), now = job, await context.store.now()
    configured, name = source_of(context, source), f"{source}/{job_id}"
    request = watch_request.parse(context, configured, job_id, body, now=now, trace=trace)
    location = await _locate(context, request)
    deadline = _checked(context, group, request, location, now).deadline_at
    known = False

    def decide(lookup: GroupLookup, _: float) -> Decision | None:
        nonlocal known
        known = name in lookup.members
        if lookup.group is None or known:
            return (lookup.group, {}) if lookup.group else None
        return _with_member(lookup.group, name, source, deadline)

    async with context.store.memory.admitted(group_price(1)):
        found = await change(context, group, decide, [name])
    if found is None:
        raise missing(group)
    if found.state is not GroupState.RUNNING:
        return found
    await _watch(context, found, name, request)
    if known:  # the job may have been deleted, and is watched again now
        await read_again(context, found, [name])
    return (await context.store.groups.read(group)).group or found


def _with_member(group: Group, name: str, source: str, deadline: float) -> Decision:
    if not group.open or group.state is not GroupState.RUNNING:
        state = "closed" if group.state is GroupState.RUNNING else "finished"
        raise Conflict(f"Group {group.id!r} is {state}: it takes no more jobs")
    if not group.filled and group.total > PIECE:  # it may lack rows, perhaps of this job
        raise Conflict(f"Group {group.id!r} is being created; if that was cut, POST it again")
    if group.total >= MAX_MEMBERS:
        raise InvalidValue(f"A group has at most {MAX_MEMBERS} jobs: start another one")
    grown, rows = with_members(group, [name], [source])
    if not group.own_deadline:
        grown = replace(grown, deadline_at=max(group.deadline_at, deadline))
    return grown, rows


async def close(context: Context, group: str) -> Group:
    """Take no more members: the group ends with those that it has."""

    def decide(lookup: GroupLookup, _: float) -> Decision | None:
        return (replace(lookup.group, open=False), {}) if lookup.group else None

    found = await change(context, group, decide)
    if found is None:
        raise missing(group)
    return found


async def delete(context: Context, group: str) -> None:
    """Forget a group; its jobs stay, and nobody is called back."""
    if not await context.store.groups.delete(group):
        raise missing(group)


def missing(group: str) -> NotFound:
    """The error for a group that does not exist."""
    return NotFound(
        f"No group {group!r}: POST it to /v1/groups first, or `ringback group create` it"
    )
