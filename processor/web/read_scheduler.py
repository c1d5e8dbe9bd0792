"""Bodies are read in turns: a piece of one, then a piece of the next, addresses in rotation.

What waits for its turn stays in the kernel's buffer and, behind that, with its sender; so a
thousand large bodies cost the event loop no more at a time than a few.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Protocol

FREE_BYTES = 64 * 1024  # of each body that wait for no turn: most bodies are smaller
READ_RATE = 128 * 1024 * 1024  # bytes a second that all bodies together are read at
TICK = 0.002  # seconds; a loop's clock has no finer ones than milliseconds


class Reader(Protocol):
    """A connection whose reading is paused."""

    def read_on(self) -> None:
        """Read again until the next piece has come."""


class ReadScheduler:
    """Hands out turns to read."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: OrderedDict[str, deque[Reader]] = OrderedDict()
        self._free_at = 0.0  # when the pieces read so far are paid for, by the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, reader: Reader, address: str, count: int) -> None:
        """Wait for a turn, after a piece of `count` bytes."""
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + count / READ_RATE
        self._waiting.setdefault(address, deque()).append(reader)
        if self._timer is None:
            self._timer = loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        """Let as many read as would have been paid for by the next tick."""
        loop = asyncio.get_running_loop()
        soon = loop.time() + TICK
        self._free_at = max(self._free_at, loop.time())
        while self._waiting and self._free_at < soon:
            self._free_at += FREE_BYTES / READ_RATE  # even if nothing comes
            self._next().read_on()
        self._timer = loop.call_later(TICK, self._tick) if self._waiting else None

    def _next(self) -> Reader:
        address, readers = self._waiting.popitem(last=False)
        reader = readers.popleft()
        if readers:
            self._waiting[address] = readers
        return reader
