"""The body of `POST /v1/groups`: parsed, and checked as a whole."""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from processor import provider
from processor.durations import MAX_DEADLINE
from processor.errors import InvalidValue, NotFound
from processor.group import MAX_MEMBERS, Group, Policy
from processor.model import Callback, Subscription
from processor.service.jobs import watch_request
from processor.service.jobs.query import source_of
from processor.service.jobs.watch_request import (
    ParsedWatchRequest,
    WatchRequest,
    parse_callback,
    parse_seconds,
)
from processor.service.runtime.context import Context
from processor.service.runtime.size_limits import MAX_METADATA, check_size
from processor.service.subscriptions.validation import lane_of
from processor.store.names import new_uid

YIELD_EVERY = 100  # members that are parsed before other calls run

_encode = msgspec.json.Encoder(order="deterministic").encode


class MemberRequest(WatchRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A member that is watched with more than its name: as in a PUT of the job."""

    source: str
    id: str


class GroupRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /v1/groups`."""

    jobs: Annotated[
        list[str | MemberRequest],
        msgspec.Meta(description="`source/id`, or an object as in a PUT of the job"),
    ] = []
    id: str | None = None
    policy: Policy = Policy.ALL
    open: bool = False
    metadata: dict[str, Any] = {}
    deadline: str | None = None
    callback_url: str | None = None
    callback_secret: str | None = None


class ParsedMember(NamedTuple):
    """A member to watch, and its place in the list."""

    place: int
    request: ParsedWatchRequest

    def refused(self, error: Exception) -> InvalidValue:
        """The error of a request that cannot be used because of this member."""
        return InvalidValue(f"jobs[{self.place}]: {error}")


class ParsedGroup(NamedTuple):
    """A group to create, its members by name, and its callback's target."""

    group: Group
    members: Mapping[str, ParsedMember]
    callback: Subscription | None


async def parse(context: Context, body: GroupRequest, now: float, trace: str | None) -> ParsedGroup:
    """Check a body; InvalidValue names the member that cannot be used by its place in the list."""
    group_id = f"grp_{secrets.token_hex(12)}" if body.id is None else body.id
    check_id("id", group_id)
    check_size("metadata", {}, body.metadata, MAX_METADATA, "keep it elsewhere")
    if not body.jobs and not body.open:
        raise InvalidValue('jobs: the list is empty; name a job, or create the group with "open"')
    if len(body.jobs) > MAX_MEMBERS:
        raise InvalidValue(f"jobs: has {len(body.jobs)} jobs; a group has at most {MAX_MEMBERS}")
    callback = parse_callback(context, body.callback_url, body.callback_secret)
    deadline = parse_seconds("deadline", body.deadline, MAX_DEADLINE)
    members = await _members(context, body, now, trace)
    group = Group(
        id=group_id,
        uid=new_uid(),
        request=_digest(body, list(members), callback),
        policy=body.policy,
        created_at=now,
        deadline_at=now + (deadline or 0.0),
        own_deadline=deadline is not None,
        open=body.open,
        metadata=body.metadata,
        callback=Callback(callback.id, lane_of(callback.url)) if callback else None,
        trace=trace,
    )
    return ParsedGroup(group, members, callback)


async def _members(
    context: Context, body: GroupRequest, now: float, trace: str | None
) -> dict[str, ParsedMember]:
    """The members by name, each once."""
    members: dict[str, ParsedMember] = {}
    for place, job in enumerate(body.jobs):
        if place % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        member = _split(place, job) if isinstance(job, str) else job
        name = f"{member.source}/{member.id}"
        known = members.get(name)
        if known is None:
            members[name] = _member(context, place, member, now, trace)
        elif known.request.body != member:
            raise InvalidValue(f"jobs[{place}]: {name!r} is in the list already, with other values")
    return members


def _member(
    context: Context, place: int, member: MemberRequest, now: float, trace: str | None
) -> ParsedMember:
    source = context.settings.sources.get(member.source)
    check_id(f"jobs[{place}]", member.id, source.kind_of(member.id) if source else None)
    try:
        configured = source_of(context, member.source)
        request = watch_request.parse(context, configured, member.id, member, now=now, trace=trace)
    except (InvalidValue, NotFound) as error:
        raise InvalidValue(f"jobs[{place}]: {error}") from None
    return ParsedMember(place, request)


def _split(place: int, text: str) -> MemberRequest:
    source, slash, job = text.partition("/")
    if not (source and slash and job):
        raise InvalidValue(f"jobs[{place}]: {text!r} is not `source/id`")
    return MemberRequest(source=source, id=job)


def check_id(field: str, text: str, kind: str | None = None) -> None:
    """InvalidValue for a text that is no id, of a group or a job."""
    try:
        provider.check_id(text, kind)
    except ValueError as error:
        raise InvalidValue(f"{field}: {error}") from None


def _digest(body: GroupRequest, members: list[str], callback: Subscription | None) -> str:
    """The same for requests that mean the same group: how members are watched may differ."""
    said = [body.policy, body.open, body.metadata, callback and callback.id, members]
    return hashlib.blake2b(_encode(said), digest_size=16).hexdigest()
