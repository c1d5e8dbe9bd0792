"""Reads bodies in turns: a piece of each, addresses in rotation (round robin).

Unread bytes stay in the kernel's buffer and at the sender, so a thousand large bodies take no more
of the event loop at a time than a few.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Protocol

FREE_BYTES = 64 * 1024  # of each body that are read at once: most bodies are smaller
READ_RATE = 128 * 1024 * 1024  # bytes a second, of all bodies together
TICK = 0.002  # seconds; a loop's clock has no finer ones than milliseconds


class Reader(Protocol):
    """A connection whose reading is paused."""

    def read_on(self) -> None:
        """Read again until the next piece has come."""


class ReadScheduler:
    """Decides which connection reads next."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Reader]] = OrderedDict()
        self._free_at = 0.0  # when the rate allows the next piece, by the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, reader: Reader, address: str, count: int) -> None:
        """Queue a connection that has read a piece of `count` bytes."""
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + count / READ_RATE
        self._waiting.setdefault(address, deque()).append(reader)
        if self._timer is None:
            self._timer = loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        """Let as many connections read as the rate allows until the next tick."""
        loop = asyncio.get_running_loop()
        soon = loop.time() + TICK
        self._free_at = max(self._free_at, loop.time())
        while self._waiting and self._free_at < soon:
            self._free_at += FREE_BYTES / READ_RATE  # even if nothing arrives
            self._next().read_on()
        self._timer = loop.call_later(TICK, self._tick) if self._waiting else None

    def _next(self) -> Reader:
        address, readers = self._waiting.popitem(last=False)
        reader = readers.popleft()
        if readers:
            self._waiting[address] = readers
        return reader
