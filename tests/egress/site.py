"""A server and name servers on this machine, which count what a client asks of them."""

import asyncio
import re
import socket
from contextlib import suppress

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
OK_AND_CLOSE = OK.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)


def sized(size):
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size


def chunked(*sizes):
    chunks = b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in sizes)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


class Site:
    """A loopback server that counts connections and answers every request with the same bytes."""

    def __init__(self, answer=OK, *, tls=None, then_close=False, unasked=False):
        """The response, whether to close after it, and whether to send it before a request."""
        self.answer, self.tls, self.then_close, self.unasked = answer, tls, then_close, unasked
        self.connections, self.requests, self.writers = 0, [], []
        self.asked, self.left = asyncio.Event(), asyncio.Event()  # set when a client does so

    async def __aenter__(self):
        """Listen on 127.0.0.1, and on ::1 at the same port where there is one."""
        self.servers = [await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)]
        self.port = self.servers[0].sockets[0].getsockname()[1]
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/hooks"
        with suppress(OSError):
            self.servers.append(await asyncio.start_server(self._serve, "::1", self.port))
        return self

    async def __aexit__(self, *_):
        """Hang up on everybody."""
        for server in self.servers:
            server.close()
        for writer in self.writers:
            writer.transport.abort()

    async def visits(self):
        """Count the connections so far, sure that none is still on its way."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(5):
            await self.asked.wait()
        writer.transport.abort()
        return self.connections - 1

    async def _serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._answer(reader, writer)
        self.left.set()
        writer.close()

    async def _answer(self, reader, writer):
        if self.unasked:
            writer.write(self.answer)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            self.requests.append((head, body))
            self.asked.set()
            writer.write(self.answer)
            await writer.drain()
            if self.then_close:
                return


class Names:
    """Name servers that we own: a name has these addresses, or this error."""

    def __init__(self, table):
        """Take names to lists of addresses, or to what is raised."""
        self.table, self.asked = table, 0

    async def resolve(self, host, port):
        self.asked += 1
        answer = self.table[host]
        if isinstance(answer, Exception):
            raise answer
        return [info(text, port) for text in answer]


class SlowNames(Names):
    """Answers when told to."""

    def __init__(self, table):
        """Like `Names`; `came` is set when somebody asks, `go` lets the answers out."""
        super().__init__(table)
        self.came, self.go = asyncio.Event(), asyncio.Event()

    async def resolve(self, host, port):
        found = await super().resolve(host, port)
        self.came.set()
        await self.go.wait()
        return found


def info(text, port):
    """An address as `socket.getaddrinfo` gives it."""
    if ":" in text:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (text, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)
