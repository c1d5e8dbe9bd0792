"""/v1/events: the event log in pages, or as a stream of server-sent events."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from processor.errors import Gone, StoreAway
from processor.service.context import Context
from processor.service.tailing import Listener, Tailer
from processor.store.events import Logged
from processor.web.bodies import Json
from processor.web.queries import check_query, limit

PING = 15.0  # seconds of silence
AT_ONCE = 500  # events of the past in one piece
RETRY = b"retry: 3000\n\n"  # ms until a client comes again
STREAM = "text/event-stream"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Events:
    """The handlers of /v1/events."""

    def __init__(self, context: Context, tailer: Tailer) -> None:
        """Share what all handlers share."""
        self._events = context.store.events
        self._tailer = tailer

    async def get(self, request: Request) -> Response:
        """A page, or, for who accepts it, a stream."""
        check_query(request, "after", "limit")
        after = request.query_params.get("after")
        if STREAM in request.headers.get("accept", ""):
            after = request.headers.get("last-event-id") or after
            places = self._events.places(after) if after else await self._events.end()
            return StreamingResponse(self._stream(places), media_type=STREAM, headers=_HEADERS)
        return await self._page(after, limit(request))

    async def _page(self, after: str | None, most: int) -> Response:
        places = self._events.places(after) if after else self._events.start()
        await self._events.check(places)
        found = await self._events.page(places, most)
        items = [msgspec.Raw(item(event)) for event in found]
        return Json({"items": items, "next": found[-1].cursor if len(found) == most else None})

    async def _stream(self, places: list[str]) -> AsyncIterator[bytes]:
        """Events behind `places`, until the client or this process goes away."""
        yield RETRY
        try:
            async with self._tailer.listening() as listener:
                async for chunk in self._past(listener, places):
                    yield chunk
                async for chunk in self._live(listener, places):
                    yield chunk
        except StoreAway:
            return  # the client comes again, with its cursor

    async def _past(self, listener: Listener, places: list[str]) -> AsyncIterator[bytes]:
        """What was told before we listened; `places` moves along."""
        try:
            await self._events.check(places)
        except Gone as error:
            places[:] = self._events.start()
            yield b"event: gap\ndata: " + msgspec.json.encode({"detail": str(error)}) + b"\n\n"
        while not listener.over and (found := await self._events.page(places, AT_ONCE)):
            places[:] = self._events.places(found[-1].cursor)
            yield b"".join(map(frame, found))

    async def _live(self, listener: Listener, places: list[str]) -> AsyncIterator[bytes]:
        """What is told while we listen, less what `_past` brought already."""
        while not listener.over:
            try:
                async with asyncio.timeout(PING):
                    event = await listener.events.get()
            except TimeoutError:
                yield b": ping\n\n"
                continue
            if event is not None and self._events.behind(event, places):
                yield frame(event)


def frame(event: Logged) -> bytes:
    """An event as SSE."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        event.cursor.encode(),
        event.type.encode(),
        item(event),
    )


def item(event: Logged) -> bytes:
    """The payload with its webhook-id in front."""
    head = msgspec.json.encode({"id": event.id})
    return head[:-1] + b"," + event.body[1:]
