"""A response with several messages, as server-sent events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from processor.web.stream import MEDIA_TYPE, PING as PING_INTERVAL

PING = b": ping\n\n"  # every so often, so that no proxy closes the connection
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_encode = msgspec.json.Encoder().encode

Write = Callable[[Any], Awaitable[None]]
"""Sends a message."""


class MessageStream(Response):
    """What `run` writes, until it is done; it is canceled when the client disconnects."""

    media_type = MEDIA_TYPE

    def __init__(self, run: Callable[[Write], Awaitable[None]]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI
        """Send messages until all are sent, or the client disconnects."""

        async def chunk(body: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": more})

        async def write(message: Any) -> None:
            await chunk(b"event: message\ndata: %b\n\n" % _encode(message))

        async def ping() -> None:
            while True:
                await asyncio.sleep(PING_INTERVAL)
                await chunk(PING)

        async def run(pings: asyncio.Task[None]) -> None:
            await self._run(write)
            pings.cancel()
            await chunk(b"", more=False)

        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async with asyncio.TaskGroup() as group:
            pings = group.create_task(ping())
            running = group.create_task(run(pings))
            while (await receive())["type"] != "http.disconnect":  # the end of the response is one
                pass
            running.cancel()
            pings.cancel()
