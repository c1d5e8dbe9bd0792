"""A server that a test scripts, connection by connection."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from processor.egress import Egress, NetworkScope, Policy

POLICY = Policy()


class Server:
    """Serves each connection with a function of its reader, its writer and its number, from 1."""

    def __init__(
        self, serve: Callable[..., Awaitable[None]], tls: ssl.SSLContext | None = None
    ) -> None:
        self.serve, self.tls = serve, tls
        self.connections = self.ended = 0
        self.requests = []  # (number of the connection, body)
        self.closed = asyncio.Condition()
        self.tasks = set()

    async def __aenter__(self):
        """Listen."""
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self.tls)
        self.url = (
            f"http{'s' if self.tls else ''}://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"
        )
        return self

    async def __aexit__(self, *_):
        """Hang up on everybody."""
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def request(self, reader, number):
        """Read and record a request; IncompleteReadError at the end."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: ([0-9]+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        self.requests.append((number, body))

    async def all_closed(self):
        """Wait until every connection has ended."""
        async with asyncio.timeout(10), self.closed:
            await self.closed.wait_for(lambda: self.ended == self.connections)

    async def _connected(self, reader, writer):
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.serve(self, reader, writer, self.connections)
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()
        async with self.closed:
            self.ended += 1
            self.closed.notify_all()


@asynccontextmanager
async def between(serve, *, tls=(None, None), **more):
    """A server, and requests to it; `tls`: its context and the client's."""
    async with Server(serve, tls[0]) as server, Egress(POLICY, tls=tls[1], **more) as egress:

        async def post(body=b"{}", **options):
            options = {"body_wanted": False, "repeatable": True, "timeout": 10.0} | options
            return await egress.request(
                options.pop("method", "POST"),
                server.url,
                headers={},
                body=body,
                scope=NetworkScope.CONFIGURED,
                **options,
            )

        yield server, post


async def answers(raw, server, reader, writer, number, *, one_by_one=False):
    """Answer every request with these bytes, until one that only the end of a connection ends."""
    while True:
        await server.request(reader, number)
        for piece in [raw[i : i + 1] for i in range(len(raw))] if one_by_one else [raw]:
            writer.write(piece)
            await writer.drain()
        if until_the_end(raw):
            return


def until_the_end(raw):
    return not any(word in raw.lower() for word in (b"content-length", b"chunked", b" 204 "))
