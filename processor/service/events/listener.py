"""One reader of the event log, who may be slower than it grows."""

import asyncio
from collections.abc import Sequence

from processor.store.events import Logged

UNREAD = 1000  # events that a listener may lag behind before it must come again


class Listener:
    """What one reader of the log has not read yet."""

    def __init__(self) -> None:
        """Start with nothing unread."""
        self._unread: list[Sequence[Logged]] = []
        self._lag = 0  # events
        self._news = asyncio.Event()
        self.over = False  # let it come again with its cursor

    def hear(self, told: Sequence[Logged]) -> None:
        """Keep events for the reader, unless it fell too far behind."""
        if self._lag >= UNREAD:
            self.end()
        else:
            self._unread.append(told)
            self._lag += len(told)
            self._news.set()

    def end(self) -> None:
        """Send the reader away; what it has not read is in the log."""
        self.over = True
        self._unread.clear()
        self._news.set()

    async def read(self, seconds: float) -> Sequence[Logged] | None:
        """What was told next, together; () if that is nothing for so long, None if it is over."""
        if not (self._unread or self.over):
            self._news.clear()
            timer = asyncio.get_running_loop().call_later(seconds, self._news.set)
            await self._news.wait()
            timer.cancel()
        if self.over:
            return None
        told = self._unread.pop(0) if self._unread else ()
        self._lag -= len(told)
        return told
