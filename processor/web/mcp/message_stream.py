"""A response with several messages, as server-sent events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from processor.web.sse import PING, PING_INTERVAL, EventStream

_encode = msgspec.json.Encoder().encode

Write = Callable[[Any], Awaitable[None]]
"""Sends a message."""


class MessageStream(EventStream):
    """The messages of `work`, with pings between them, until it is done."""

    def __init__(self, work: Callable[[Write], Awaitable[None]]) -> None:
        super().__init__()
        self._work = work

    async def run(self) -> None:
        """Write the messages."""
        async with asyncio.TaskGroup() as group:
            pings = group.create_task(self._write_pings())
            await self._work(self._write_message)
            pings.cancel()

    async def _write_message(self, message: Any) -> None:
        await self.write(b"event: message\ndata: %b\n\n" % _encode(message))

    async def _write_pings(self) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL)
            await self.write(PING)
