"""/v1/events: the event log in pages, or as a stream."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from processor.errors import InvalidValue, Overloaded
from processor.service.events.selection import Page, Selection, newest, page
from processor.service.events.tail import MAX_LISTENERS, Tailer
from processor.service.runtime.context import Context
from processor.web.query_params import check_query, choice, limit
from processor.web.request_body import Json
from processor.web.sse import MEDIA_TYPE
from processor.web.stream import FrameCache, Stream, item


class Events:
    """The handlers of /v1/events."""

    def __init__(self, context: Context, tailer: Tailer) -> None:
        self._events = context.store.events
        self._tailer = tailer
        self._frames = FrameCache()

    async def get(self, request: Request) -> Response:
        """A page, or a stream for callers that accept one."""
        names = ("after", "limit", "newest", "type", "source", "job")
        check_query(request, *names, repeatable=("type",))
        query = request.query_params
        select = Selection.of(query.getlist("type"), query.get("source"), query.get("job"))
        from_end, most = choice(request, "newest", ("true", "false")) == "true", limit(request)
        if MEDIA_TYPE in request.headers.get("accept", "").lower():
            return await self._stream(request, select)
        if from_end:
            if "after" in query:
                raise InvalidValue("newest: leave out `after`, or `newest`")
            return _answer(await newest(self._events, select, most))
        positions = self._positions(query.get("after"))
        found = await page(self._events, positions, select, most)
        await self._events.check(positions)  # last: the log may have been trimmed meanwhile
        return _answer(found)

    async def _stream(self, request: Request, select: Selection) -> Response:
        if self._tailer.full:
            raise Overloaded(
                f"The stream already has {MAX_LISTENERS} listeners; retry later, or page through /v1/events"
            )
        after = request.headers.get("last-event-id") or request.query_params.get("after")
        places = self._positions(after) if after else await self._events.end()
        return Stream(self._events, self._tailer, self._frames, places, select)

    def _positions(self, after: str | None) -> list[str]:
        return self._events.read_cursor(after) if after else self._events.start()


def _answer(found: Page) -> Response:
    return Json({"items": [msgspec.Raw(item(event)) for event in found.events], "next": found.next})
