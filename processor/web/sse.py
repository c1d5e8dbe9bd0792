"""A response of server-sent events (SSE), until all are sent or the client disconnects."""

import asyncio
import time

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"
PING_INTERVAL = 15.0  # seconds between bytes, so that no proxy closes the connection
PING = b": ping\n\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}  # nginx passes each chunk on


class EventStream(Response):
    """What `run` writes; it is canceled when the client disconnects.

    Starlette's StreamingResponse would take a fifth more memory for each listener.
    """

    media_type = MEDIA_TYPE

    def __init__(self) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._written_at = 0.0  # on the monotonic clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run until the end, or until the client disconnects; HEAD ends after the headers."""
        self._send = send
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        if scope["method"] == "HEAD":  # or its connection would be busy for ever
            await send({"type": "http.response.body"})
            return
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._run_to_end())
            while (await receive())["type"] != "http.disconnect":  # the end of the response is one
                pass
            running.cancel()

    async def run(self) -> None:
        """Write all events."""
        raise NotImplementedError

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        """Send some events, or a ping."""
        self._written_at = time.monotonic()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def _run_to_end(self) -> None:
        await self.run()
        await self.write(b"", more=False)
