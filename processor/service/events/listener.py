"""One reader of the event log (an SSE connection): it ends when it falls too far behind."""

import asyncio
from collections.abc import Sequence

from processor.store.events import LoggedEvent

MAX_UNREAD = 1000  # events that a listener may lag behind before it must reconnect


class Listener:
    """The events that one reader has not read yet."""

    def __init__(self) -> None:
        self._unread: list[Sequence[LoggedEvent]] = []
        self._lag = 0  # events
        self._wake = asyncio.Event()
        self.ended = False  # the client must reconnect with its cursor

    def receive(self, events: Sequence[LoggedEvent]) -> None:
        """Keep events for the reader; end if it has fallen too far behind."""
        if self._lag >= MAX_UNREAD:
            self.end()
        else:
            self._unread.append(events)
            self._lag += len(events)
            self._wake.set()

    def end(self) -> None:
        """Drop what is unread, which is in the log, and have the client reconnect."""
        self.ended = True
        self._unread.clear()
        self._wake.set()

    async def read(self, seconds: float) -> Sequence[LoggedEvent] | None:
        """The next events; () if there are none for so many seconds, None once this has ended."""
        if not (self._unread or self.ended):
            self._wake.clear()
            timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
            await self._wake.wait()
            timer.cancel()
        if self.ended:
            return None
        events = self._unread.pop(0) if self._unread else ()
        self._lag -= len(events)
        return events
