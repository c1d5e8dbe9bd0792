"""/v1/groups: create, get, wait, list; add and list members; close and delete. And /v1/wait."""

import asyncio
from typing import Annotated, Literal, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from processor import group_payload, provider
from processor.errors import InvalidValue
from processor.formats import traceparent
from processor.group import Group
from processor.service.events.tail import Tailer
from processor.service.groups import close, create, members, query, wait
from processor.service.groups.group_request import GroupRequest, check_id
from processor.service.jobs.watch_request import WatchRequest
from processor.service.runtime.context import Context
from processor.store.expiry_list import START
from processor.web.jobs import MAX_WAIT
from processor.web.query_params import (
    Page,
    check_query,
    choice,
    cursor,
    job_name,
    limit,
    number,
    page,
    segment,
    write_cursor,
)
from processor.web.request_body import Json, read_as, read_nothing, read_optional

MAX_BODY = 4 * 1024 * 1024  # bytes of a POST
Mode = Literal["all", "any"]
MODES: tuple[Mode, ...] = get_args(Mode)


class WaitRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/wait`; jobs as `source/id`."""

    jobs: list[str] = []
    groups: list[str] = []
    mode: Mode = "all"
    timeout: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT)] = MAX_WAIT


class Groups:
    """The handlers of /v1/groups and /v1/wait."""

    def __init__(self, context: Context, tailer: Tailer) -> None:
        self._context = context
        self._tailer = tailer

    async def post(self, request: Request) -> Response:
        """Create a group."""
        check_query(request)
        body = await read_as(request, GroupRequest, MAX_BODY)
        group, new = await create.create(self._context, body, _trace(request))
        return _shown(group, 201 if new else 200)

    async def list(self, request: Request) -> Response:
        """List all groups, those with the latest deadline first."""
        check_query(request, "limit", "cursor")
        return Json(await page_of_groups(self._context, request))

    async def get(self, request: Request) -> Response:
        """Get a group, now or once it has ended."""
        check_query(request, "wait")
        seconds = number(request, "wait", 0, 0, MAX_WAIT)
        group = group_id(request)
        waited = await wait.wait(
            self._context, self._tailer, [], [group], first=False, seconds=seconds
        )
        return _shown(waited.groups[0])

    async def delete(self, request: Request) -> Response:
        """Forget a group; its jobs stay."""
        check_query(request)
        await read_nothing(request)
        await close.delete(self._context, group_id(request))
        return Response(status_code=204)

    async def close(self, request: Request) -> Response:
        """Take no more members."""
        check_query(request)
        await read_nothing(request)
        return _shown(await close.close(self._context, group_id(request)))

    async def members(self, request: Request) -> Response:
        """List the members of a group, in the order in which they were named."""
        check_query(request, "limit", "cursor")
        return Json(await page_of_members(self._context, request))

    async def put_member(self, request: Request) -> Response:
        """Watch a job as a member of an open group."""
        check_query(request)
        body = await read_optional(request, WatchRequest)
        name = job_name(request, self._context.settings.sources)
        group = group_id(request)
        return _shown(await members.add(self._context, group, name, body, _trace(request)))

    async def wait(self, request: Request) -> Response:
        """Wait for jobs and groups that the query or the body names."""
        asked = await _asked(request)
        if not asked.jobs and not asked.groups:
            raise InvalidValue("job: name at least one job as source/id, or a group")
        named = [split_name(f"job[{place}]", name) for place, name in enumerate(asked.jobs)]
        names, groups = list(dict.fromkeys(named)), list(dict.fromkeys(asked.groups))
        first, seconds = asked.mode == "any", asked.timeout
        waited = await wait.wait(
            self._context, self._tailer, names, groups, first=first, seconds=seconds
        )
        shown = await wait.view(self._context, waited, first=first)
        if groups:
            shown["groups"] = [group_payload.view(group) for group in waited.groups]
        return Json(shown)


async def _asked(request: Request) -> WaitRequest:
    """What a wait is for."""
    if request.method == "POST":
        check_query(request)
        return await read_as(request, WaitRequest)
    check_query(request, "job", "group", "mode", "timeout", repeatable=("job", "group"))
    several = request.query_params.getlist
    seconds = number(request, "timeout", MAX_WAIT, 0, MAX_WAIT)
    mode = choice(request, "mode", MODES) or "all"
    return WaitRequest(several("job"), several("group"), mode, seconds)


async def page_of_groups(context: Context, request: Request) -> Page[group_payload.GroupView]:
    """The groups of the page that a request asks for."""
    store = context.store.groups
    most = limit(request)
    found = await store.listed(cursor(request) or START, most + 1)
    shown = found[:most]
    groups = await asyncio.gather(*(store.read(group) for _, group in shown))
    items = [group_payload.view(g.group) for g in groups if g.group]
    return Page(items, write_cursor(shown[-1] if len(found) > most else None))


async def page_of_members(context: Context, request: Request) -> Page[group_payload.GroupMember]:
    """The members of a group of the page that a request asks for."""
    store, group = context.store.groups, await query.find(context, group_id(request))
    shown = page(request, list(enumerate(await store.names(group))), lambda row: (row[0], ""))
    names = [name for _, name in shown.items]
    rows = (await store.read(group.id, names)).members
    return Page([group_payload.listed(n, rows[n]) for n in names if n in rows], shown.next)


def group_id(request: Request) -> str:
    """The id of a group in a path."""
    group = segment(request, "group")
    check_id("group", group)
    return group


def _shown(group: Group, status: int = 200) -> Response:
    return Json(group_payload.view(group), status)


def _trace(request: Request) -> str | None:
    return traceparent(request.headers.get("traceparent"))


def split_name(field: str, name: str) -> tuple[str, str]:
    """Source and id: the name is split at its first slash."""
    source, slash, job = name.partition("/")
    if not source or not slash:
        raise InvalidValue(f"{field}: {name!r} is not `source/id`")
    try:
        return source, provider.check_id(job)
    except ValueError as error:
        raise InvalidValue(f"{field}: {name!r} is not `source/id`: {error}") from error
