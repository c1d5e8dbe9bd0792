"""/v1/jobs: watch, get, wait, poll now, delete; list and history."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from processor.formats import traceparent
from processor.model import State
from processor.service.events.tail import Tailer
from processor.service.groups.query import find as find_group
from processor.service.groups.wait import wait_for_job
from processor.service.jobs import listing, query as jobs_query, watch, watch_request
from processor.service.jobs.callbacks import list_callbacks, remove_callback
from processor.service.polling.poll_all import PollAllRequest, poll_all
from processor.service.runtime.context import Context
from processor.store.expiry_list import START
from processor.web.query_params import (
    Key,
    Page,
    check_query,
    choice,
    job_name,
    key_and_value,
    limit,
    number,
    page,
    read_cursor,
    segment,
    short_page,
    write_cursor,
)
from processor.web.request_body import Json, read_as, read_nothing

MAX_WAIT = 60  # seconds
_PREFER = re.compile(r"(?:^|[;,\s])wait=(\d{1,4})(?:$|[;,\s])", re.IGNORECASE)


class Jobs:
    """The handlers of /v1/jobs."""

    def __init__(self, context: Context, tailer: Tailer) -> None:
        self._context = context
        self._tailer = tailer

    async def put(self, request: Request) -> Response:
        """Watch a job."""
        check_query(request)
        body = await read_as(request, watch_request.WatchRequest)
        trace = traceparent(request.headers.get("traceparent"))
        found, new = await watch.watch(self._context, *self._name(request), body, trace)
        return Json(await jobs_query.view(self._context, found), 201 if new else 200)

    async def get(self, request: Request) -> Response:
        """Get a job, now or once it is finished."""
        check_query(request, "wait")
        seconds, headers = _wait(request)
        found = await wait_for_job(self._context, self._tailer, self._name(request), seconds)
        return Json(await jobs_query.view(self._context, found), headers=headers)

    async def delete(self, request: Request) -> Response:
        """Stop watching a job."""
        check_query(request)
        await read_nothing(request)
        await watch.unwatch(self._context, *self._name(request))
        return Response(status_code=204)

    async def history(self, request: Request) -> Response:
        """List what happened to a job, oldest first."""
        check_query(request, "limit", "cursor")
        found = await jobs_query.history(self._context, *self._name(request))
        shown = page(request, list(enumerate(found)), _position)
        return Json({"items": [entry for _, entry in shown.items], "next": shown.next})

    async def poll(self, request: Request) -> Response:
        """Poll the provider now."""
        check_query(request)
        await read_nothing(request)
        await watch.poll_now(self._context, *self._name(request))
        return Json({"asked": True}, 202)

    async def callbacks(self, request: Request) -> Response:
        """List where a job calls back."""
        check_query(request, "limit", "cursor")
        found = await list_callbacks(self._context, *self._name(request))
        return Json(short_page(request, found))

    async def delete_callback(self, request: Request) -> Response:
        """Take a callback of a job back."""
        check_query(request)
        await read_nothing(request)
        callback = segment(request, "callback")
        await remove_callback(self._context, *self._name(request), callback)
        return Response(status_code=204)

    async def poll_all(self, request: Request) -> Response:
        """Poll all unfinished jobs of a source, in a state, soon."""
        check_query(request)
        body = await read_as(request, PollAllRequest)
        asked = await poll_all(self._context, body)
        return Json({"asked": asked}, 202)

    async def list(self, request: Request) -> Response:
        """List jobs, those with the latest deadline first."""
        names = ("source", "state", "metadata", "group", "limit", "cursor")
        check_query(request, *names, repeatable=("metadata",))
        query, state = request.query_params, choice(request, "state", list(State))
        metadata = [key_and_value(text) for text in query.getlist("metadata")]
        if (group := query.get("group")) is not None:
            await find_group(self._context, group)
        wanted = listing.JobFilter(query.get("source"), state, metadata, group)
        return Json(await page_of_jobs(self._context, wanted, limit(request), query.get("cursor")))

    def _name(self, request: Request) -> tuple[str, str]:
        return job_name(request, self._context.settings.sources)


async def page_of_jobs(
    context: Context,
    wanted: listing.JobFilter,
    limit: int,
    cursor: str | None,
    most: int = listing.MAX_SCANNED,
) -> Page[dict[str, Any]]:
    """The jobs of the page after a cursor; at most `most` are looked at."""
    found = await listing.jobs(context, wanted, limit, read_cursor(cursor) or START, most)
    return Page(found.items, write_cursor(found.next))


def _position(numbered: tuple[int, dict[str, Any]]) -> Key:
    """The position of an entry in its history, which has at most 200."""
    number, entry = numbered
    return entry["at"].timestamp(), f"{number:03}"


def _wait(request: Request) -> tuple[float, dict[str, str]]:
    """How long to wait, from the query or from `Prefer: wait=` (RFC 7240)."""
    preferred = _PREFER.search(request.headers.get("prefer", ""))
    if preferred and "wait" not in request.query_params:
        seconds = min(int(preferred[1]), MAX_WAIT)
        return seconds, {"preference-applied": f"wait={seconds}"}
    return number(request, "wait", 0, 0, MAX_WAIT), {}
