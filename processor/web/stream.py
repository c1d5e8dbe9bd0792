"""The event log as server-sent events: first what was told already, then what is being told."""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from processor.errors import CursorExpired, Unavailable
from processor.service.events.listener import Listener
from processor.service.events.tail import MAX_EVENTS_READ, Tailer
from processor.store.events import Events, Logged

PING = 15.0  # seconds
BEGIN = b"retry: 3000\nid: %b\n\n"  # ms until a client comes again; where, if it hears nothing
MEDIA_TYPE = "text/event-stream"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class FrameCache:
    """Events as SSE, written once for all who are told of them one after the other."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._told: Sequence[Logged] = ()
        self._text = b""

    def of(self, told: Sequence[Logged]) -> bytes:
        """What was told together."""
        if told is not self._told:
            self._told, self._text = told, frames(told)
        return self._text


class Stream(Response):
    """Events behind `places`.

    It ends when the client goes away, reads nothing (`write_timeout.py`) or falls behind
    (`service/events/listener.py`), when the log was replaced (`service/events/tail.py`), and when
    this process drains; the client then connects again with its cursor.

    Starlette's StreamingResponse would do, but takes a fifth more memory for each listener.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, events: Events, tailer: Tailer, shared: FrameCache, places: Sequence[str]
    ) -> None:
        """Take where events come from, and the places to begin behind."""
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._events = events
        self._tailer = tailer
        self._shared = shared
        self._places = list(places)  # behind what was written
        self._caught_up = False  # with the tailer: from here on it is at the same places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI
        """Tell, until there is nobody to be told, or nothing more."""
        self._send = send
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell())
            while (await receive())["type"] != "http.disconnect":  # ours is one, too
                pass
            telling.cancel()

    async def _tell(self) -> None:
        await self._write(BEGIN % self._events.cursor(self._places).encode())
        with contextlib.suppress(Unavailable):  # the client comes again, with its cursor
            async with self._tailer.listening() as listener:
                await self._past(listener)
                await self._live(listener)
        await self._write(b"", more=False)

    async def _write(self, chunk: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def _past(self, listener: Listener) -> None:
        """What was told before we listened."""
        try:
            await self._events.check(self._places)
        except CursorExpired as error:
            self._places = self._events.start()
            detail = msgspec.json.encode({"detail": str(error)})
            await self._write(b"event: gap\ndata: %b\n\n" % detail)
        while not listener.ended and (
            found := await self._events.page(self._places, MAX_EVENTS_READ)
        ):
            self._places = self._events.places(found[-1].cursor)
            await self._write(frames(found))

    async def _live(self, listener: Listener) -> None:
        """What is told while we listen."""
        while (told := await listener.read(PING)) is not None:
            await self._write(self._text(told) or b": ping\n\n")

    def _text(self, told: Sequence[Logged]) -> bytes:
        """What is told, less what `_past` brought already."""
        if self._caught_up:
            return self._shared.of(told)
        unread = self._events.unread(told, self._places)
        self._caught_up = bool(unread) and unread[-1].cursor == told[-1].cursor
        return frames(unread)


def frames(events: Sequence[Logged]) -> bytes:
    """Events as SSE."""
    return b"".join(map(frame, events))


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
