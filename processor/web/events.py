"""/v1/events: the event log in pages, or as a stream."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from processor.errors import Overloaded
from processor.service.events.tail import MAX_LISTENERS, Tailer
from processor.service.runtime.context import Context
from processor.web.query_params import check_query, limit
from processor.web.request_body import Json
from processor.web.stream import MEDIA_TYPE, FrameCache, Stream, item


class Events:
    """The handlers of /v1/events."""

    def __init__(self, context: Context, tailer: Tailer) -> None:
        self._events = context.store.events
        self._tailer = tailer
        self._frames = FrameCache()

    async def get(self, request: Request) -> Response:
        """A page, or a stream for callers that accept one."""
        check_query(request, "after", "limit")
        after = request.query_params.get("after")
        if MEDIA_TYPE in request.headers.get("accept", ""):
            if self._tailer.full:
                raise Overloaded(
                    f"The stream already has {MAX_LISTENERS} listeners; retry later, or page through /v1/events"
                )
            after = request.headers.get("last-event-id") or after
            places = self._events.read_cursor(after) if after else await self._events.end()
            return Stream(self._events, self._tailer, self._frames, places)
        return await self._page(after, limit(request))

    async def _page(self, after: str | None, most: int) -> Response:
        places = self._events.read_cursor(after) if after else self._events.start()
        await self._events.check(places)
        found = await self._events.page(places, most)
        items = [msgspec.Raw(item(event)) for event in found]
        return Json({"items": items, "next": found[-1].cursor if len(found) == most else None})
