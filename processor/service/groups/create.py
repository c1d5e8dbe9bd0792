"""Creates a group, and watches its members.

The members are in the group, pending, before any of them is watched, and the group ends only once
all are watched: so a member that ends meanwhile is not missed, and no group ends early. A creation
that was cut short is finished by its repetition.

A job that is named by its id and by an alias is one member, under the first of these names.
"""

import asyncio
from collections.abc import Awaitable, Container, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from processor.errors import Conflict, InvalidValue
from processor.group import Group, GroupState, Member, with_members
from processor.service.groups import members as group_members
from processor.service.groups.group_request import GroupRequest, ParsedGroup, ParsedMember, parse
from processor.service.groups.member_ends import read_again
from processor.service.groups.query import missing
from processor.service.groups.step import Decision, change
from processor.service.runtime.context import Context
from processor.service.runtime.in_parts import in_parts
from processor.store.groups import PIECE, GroupLookup
from processor.store.reserve import group_price, watch_price

_encode = msgspec.json.Encoder().encode

TOGETHER = 8  # members that are read or watched at the same time: more delay other calls
EMPTY_DEADLINE = 72 * 3600.0  # seconds, of a group that is created without members


class CheckedMembers(NamedTuple):
    """The members of a request, all of which can be watched."""

    deadline: float  # the latest of theirs
    rows: dict[str, str]  # by name as in the request: the name in the group, one for each job


async def create(context: Context, body: GroupRequest, trace: str | None) -> tuple[Group, bool]:
    """Create a group and watch its members; True if it is new.

    The same request again changes nothing; Conflict if the id is another group's. InvalidValue, and
    nothing is written, if one of the members cannot be watched.
    """
    now = await context.store.now()
    request = await parse(context, body, now, trace)
    group, new, rows = request.group, False, dict[str, str]()
    found = (await context.store.groups.read(group.id)).group
    if found is None:
        deadline, rows = await _check(context, request, now)
        group = group if group.own_deadline else replace(group, deadline_at=deadline)
        found = await _write(context, request, group, list(dict.fromkeys(rows.values())))
        new = found.uid == group.uid
    if found.request != group.request:
        raise Conflict(f"id: {group.id!r} is another group already")
    if not found.filled and found.state is GroupState.RUNNING:
        if not new:  # it was cut: what was written stays, even if two names are one job by now
            written = await context.store.groups.members(group.id)
            rows = (await _check(context, request, now, written)).rows
        names = list(dict.fromkeys(rows.values()))
        await _write_rows(context, found, names)
        await _watch_all(context, found, request.members, rows)
        if not new:  # a member may have been deleted meanwhile, and is watched again now
            await read_again(context, found, names)
        found = await change(context, group.id, _filled)
    if found is None:
        raise missing(group.id)
    return found, new


async def _check(
    context: Context, request: ParsedGroup, now: float, written: Container[str] = ()
) -> CheckedMembers:
    """Check that all members can be watched, else InvalidValue; `written` are in the group already."""
    latest, price = now if request.members else now + EMPTY_DEADLINE, 0
    rows: dict[str, str] = {}
    row_of: dict[tuple[str, str], str] = {}  # by source and each name of a job
    members = list(request.members.items())
    for start in range(0, len(members), TOGETHER):
        part = members[start : start + TOGETHER]
        found = await asyncio.gather(*(group_members.locate(context, m.request) for _, m in part))
        for (name, member), location in zip(part, found, strict=True):
            try:
                job = group_members.check(context, request.group.id, member.request, location, now)
            except InvalidValue as error:
                raise member.refused(error) from None
            names = [(job.source, other) for other in (location.id, job.id, *job.aliases)]
            known = next((row_of[other] for other in names if other in row_of), name)
            rows[name] = name if name in written else known
            row_of |= dict.fromkeys(names, rows[name])
            latest = max(latest, job.deadline_at)
            price += watch_price(0, new=location.lookup.job is None)
    async with context.store.memory.admitted(price):  # each is admitted again when it is watched
        return CheckedMembers(latest, rows)


async def _write(
    context: Context, request: ParsedGroup, group: Group, names: Sequence[str]
) -> Group:
    """Write a new group with all members pending; the group that has its id now."""
    sources = {member.request.source.name for member in request.members.values()}
    grown, rows = with_members(group, names, sources)
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


async def _watch_all(
    context: Context, group: Group, members: Mapping[str, ParsedMember], rows: Mapping[str, str]
) -> None:
    """Watch all members, each under its name in the group. Those with aliases come first: one of
    these may be a name in the list too.
    """
    with_aliases = [name for name, member in members.items() if member.request.aliases]
    others = [name for name, member in members.items() if not member.request.aliases]

    def watch(name: str) -> Awaitable[None]:
        return group_members.watch(context, group, rows[name], members[name].request)

    for names in (with_aliases, others):
        await in_parts(watch, names, TOGETHER)


def _filled(lookup: GroupLookup, _: float) -> Decision | None:
    return (replace(lookup.group, filled=True), {}) if lookup.group else None
