"""The event log as server-sent events (SSE): first past events, then live ones."""

import contextlib
import time
from collections.abc import Sequence

import msgspec

from processor.errors import CursorExpired, Unavailable
from processor.service.events.listener import Listener
from processor.service.events.selection import Selection
from processor.service.events.tail import MAX_EVENTS_READ, Tailer
from processor.store.events import Events, LoggedEvent
from processor.web.sse import PING, PING_INTERVAL, EventStream

BEGIN = b"retry: 3000\nid: %b\n\n"  # ms until a client reconnects; the cursor to continue from
EVERYTHING = Selection()


class FrameCache:
    """Events as SSE, encoded once for all listeners that receive them one after the other."""

    def __init__(self) -> None:
        self._events: Sequence[LoggedEvent] = ()
        self._text = b""

    def encode(self, events: Sequence[LoggedEvent]) -> bytes:
        """The frames of these events; encoded again only if they are others than last time."""
        if events is not self._events:
            self._events, self._text = events, frames(events)
        return self._text


class Stream(EventStream):
    """Events after `places`.

    It ends when the client disconnects, reads nothing (`write_timeout.py`) or falls behind
    (`service/events/listener.py`), when the log was replaced (`service/events/tail.py`), and when
    this process drains; the client then reconnects with its cursor.
    """

    def __init__(
        self,
        events: Events,
        tailer: Tailer,
        shared: FrameCache,
        places: Sequence[str],
        select: Selection = EVERYTHING,
    ) -> None:
        super().__init__()
        self._events = events
        self._tailer = tailer
        self._shared = shared
        self._select = select
        self._places = list(places)  # after the last event that was written
        self._caught_up = False  # with the tailer: from now on both are at the same places

    async def run(self) -> None:
        """Write past events, then live ones."""
        await self.write(BEGIN % self._events.cursor(self._places).encode())
        with contextlib.suppress(Unavailable):  # the client reconnects, with its cursor
            async with self._tailer.listening() as listener:
                await self._past(listener)
                await self._live(listener)

    async def _past(self, listener: Listener) -> None:
        """Send the events from before we listened.

        The log may be trimmed at any time, so each page is checked once it has been read.
        """
        while not listener.ended:
            found = await self._events.page(self._places, MAX_EVENTS_READ)
            try:
                await self._events.check(self._places)
            except CursorExpired as error:
                self._places = self._events.start()
                detail = msgspec.json.encode({"detail": str(error)})
                await self.write(b"event: gap\ndata: %b\n\n" % detail)
                continue
            if not found:
                return
            self._places = self._events.read_cursor(found[-1].cursor)
            await self.write(frames(self._select.of_events(found)) or self._ping())

    async def _live(self, listener: Listener) -> None:
        """Send events as they are published; if none are for this client, at times a ping."""
        while (events := await listener.read(PING_INTERVAL)) is not None:
            text = self._text(events)
            if text or not events or time.monotonic() - self._written_at >= PING_INTERVAL:
                await self.write(text or self._ping())

    def _ping(self) -> bytes:
        """A ping; events that were not selected need not be read again after a reconnection."""
        cursor = (
            b"" if self._select.all else b"id: %b\n" % self._events.cursor(self._places).encode()
        )
        return cursor + PING

    def _text(self, events: Sequence[LoggedEvent]) -> bytes:
        """The selected events as SSE, without those that `_past` has sent."""
        if self._caught_up and self._select.all:
            return self._shared.encode(events)
        unread = self._events.unread(events, self._places)
        self._caught_up = bool(unread) and unread[-1].cursor == events[-1].cursor
        return frames(self._select.of_events(unread))


def frames(events: Sequence[LoggedEvent]) -> bytes:
    """Events as SSE."""
    return b"".join(map(frame, events))


def frame(event: LoggedEvent) -> bytes:
    """An event as SSE."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        event.cursor.encode(),
        event.type.encode(),
        item(event),
    )


def item(event: LoggedEvent) -> bytes:
    """The payload with its webhook-id in front."""
    head = msgspec.json.encode({"id": event.id})
    return head[:-1] + b"," + event.body[1:]
