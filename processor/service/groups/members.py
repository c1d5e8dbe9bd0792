"""Jobs as members of groups: which may be, and how one is added to an open group."""

import asyncio

from msgspec.structs import replace

from processor.errors import Conflict, InvalidValue
from processor.group import MAX_GROUPS, MAX_MEMBERS, Group, GroupState, with_members
from processor.model import Job, Membership
from processor.service.groups.member_ends import read_again
from processor.service.groups.query import missing
from processor.service.groups.step import Decision, change
from processor.service.jobs import watch as jobs_watch, watch_request
from processor.service.jobs.query import JobLocation, locate as locate_job, source_of
from processor.service.jobs.watch_request import ParsedWatchRequest, WatchRequest
from processor.service.runtime.context import Context
from processor.store.groups import PIECE, GroupLookup
from processor.store.reserve import group_price


async def locate(context: Context, request: ParsedWatchRequest) -> JobLocation:
    """Where a member is; if it has as many groups as it may, it forgets those that are over first."""
    location = await locate_job(context, request.source.name, request.id)
    job = location.lookup.job
    if job is None or len(job.groups) < MAX_GROUPS:
        return location
    running = await _running(context, job)
    if len(running) == len(job.groups):
        return location
    await jobs_watch.keep_groups(context, location, running)
    return await locate_job(context, request.source.name, request.id)


async def _running(context: Context, job: Job) -> list[Membership]:
    """The groups of a job that have not ended; what it tells the others changes nothing."""
    found = await asyncio.gather(*(context.store.groups.read(m.group) for m in job.groups))
    rows = [(m, lookup.group) for m, lookup in zip(job.groups, found, strict=True)]
    return [m for m, g in rows if g and g.uid == m.uid and g.state is GroupState.RUNNING]


def check(
    context: Context, group: str, request: ParsedWatchRequest, location: JobLocation, now: float
) -> Job:
    """The job as a member of a group will be; InvalidValue if it cannot be one."""
    before = location.lookup.job
    groups = {m.group for m in before.groups} if before else set()
    if group not in groups and len(groups) >= MAX_GROUPS:
        raise InvalidValue(f"a job is a member of at most {MAX_GROUPS} running groups")
    return jobs_watch.check(context, request, before, now)


async def watch(context: Context, group: Group, name: str, request: ParsedWatchRequest) -> None:
    """Watch a job as a member of a group, which learns from now on how it ends."""
    membership = Membership(group.id, group.uid, name)
    await jobs_watch.register(context, request._replace(membership=membership))


async def add(
    context: Context, group: str, job: tuple[str, str], body: WatchRequest, trace: str | None
) -> Group:
    """Watch a job (source, id) as a member of an open group; Conflict if the group takes no more."""
    (source, job_id), now = job, await context.store.now()
    configured = source_of(context, source)
    request = watch_request.parse(context, configured, job_id, body, now=now, trace=trace)
    location = await locate(context, request)
    deadline = check(context, group, request, location, now).deadline_at
    names = [*_names_in(location.lookup.job, group), f"{source}/{job_id}"]
    known: str | None = None

    def decide(lookup: GroupLookup, _: float) -> Decision | None:
        nonlocal known
        known = next((name for name in names if name in lookup.members), None)
        if lookup.group is None or known:
            return (lookup.group, {}) if lookup.group else None
        return _with_member(lookup.group, names[-1], source, deadline)

    async with context.store.memory.admitted(group_price(1)):
        found = await change(context, group, decide, names)
    if found is None:
        raise missing(group)
    if found.state is not GroupState.RUNNING:
        return found
    await watch(context, found, known or names[-1], request)
    if known:  # the job may have been deleted, and is watched again now
        await read_again(context, found, [known])
    return (await context.store.groups.read(group)).group or found


def _names_in(job: Job | None, group: str) -> list[str]:
    """The names under which a group, or an earlier one with its id, has a job."""
    return [m.member for m in job.groups if m.group == group] if job else []


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
