"""The pool of HTTP/1.1 connections: reuses them, and limits how many are open, of an origin and in all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from weakref import WeakValueDictionary

from processor.egress.addresses import Address
from processor.egress.connection import Connection
from processor.egress.connector import Connector
from processor.egress.failures import (
    CONNECT_SECONDS,
    BrokenResponseError,
    ConnectTimeoutError,
    NoPlaceError,
)
from processor.egress.places import Places
from processor.egress.salvage import RawResponse
from processor.large_body_queue import LargeBodySlot

MaySend = Callable[[], Awaitable[None]]
"""Returns when a request may be written, or raises."""

KEEPALIVE_SECONDS = 4.0  # many servers close idle connections after 5; a POST would fail then


class Origin:
    """A scheme, host and port: its idle connections, and its places for requests."""

    def __init__(self, scheme: str, host: str | Address, port: int, places: int) -> None:
        self.host, self.port, self.secure = host, port, scheme == "https"
        self.places = Places(places)
        self.idle: list[Connection] = []  # the one used last is used first


class ConnectionPool:
    """Connections of one network scope, in the running loop; at most `limit` are open.

    One origin gets at most half of them, so that one that hangs leaves room for the others.
    """

    def __init__(self, connector: Connector, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._connector, self._limit = connector, limit
        self._places = Places(limit)
        self._origins: WeakValueDictionary[object, Origin] = WeakValueDictionary()
        self._open: dict[Connection, Origin] = {}
        self._idle: dict[Connection, float] = {}  # since when; the longest idle one first
        self._sweeper: asyncio.TimerHandle | None = None
        self._connecting = 0
        self._closed = False

    def origin(self, scheme: str, host: str | Address, port: int) -> Origin:
        """The only origin of this name; it is forgotten when nothing uses it."""
        name = (scheme, host, port)
        if found := self._origins.get(name):
            return found
        made = self._origins[name] = Origin(scheme, host, port, max(1, self._limit // 2))
        return made

    async def exchange(
        self,
        origin: Origin,
        request: bytes,
        seconds: float,
        read_limit: int | None,
        *,
        repeatable: bool,
        may_send: MaySend | None = None,
        slot: LargeBodySlot | None = None,
    ) -> RawResponse:
        """Send a request, and return its response; see `Connection.send`.

        If a connection that was idle dies before a byte of the response, which is how one ends that
        the server closed meanwhile, a `repeatable` request is sent once more, on a new connection.
        `may_send` is awaited before each time. Raises what it and `Connector.connect` raise,
        TimeoutError, or BrokenResponseError.
        """
        began = monotonic()
        end, connect_end = began + seconds, began + CONNECT_SECONDS
        if origin.places.free and self._places.free:
            origin.places.take()
            self._places.take()
        else:
            await self._wait_for_places(origin, end, connect_end)
        try:
            if connection := self._take(origin):
                connected = monotonic()
                try:
                    return await self._send(
                        connection, request, end, read_limit, may_send, slot=slot
                    )
                except BrokenResponseError as broken:
                    died = not broken.received and not isinstance(broken.error, TimeoutError)
                    if not (died and repeatable):
                        raise
                connect_end += monotonic() - connected
            connection = await self._connect(origin, end, connect_end)
            return await self._send(connection, request, end, read_limit, may_send, slot=slot)
        finally:
            self._places.leave()
            origin.places.leave()

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        self._closed = True
        for connection in [*self._open]:
            self._drop(connection)
        await asyncio.sleep(0)  # the loop tells the connections that they are closed

    async def _wait_for_places(self, origin: Origin, end: float, connect_end: float) -> None:
        async with _connect_limit(end, connect_end, NoPlaceError):
            await origin.places.wait()
            try:
                await self._places.wait()
            except BaseException:
                origin.places.leave()
                raise

    def _take(self, origin: Origin) -> Connection | None:
        while origin.idle:
            connection = origin.idle.pop()
            if self._idle.pop(connection) + KEEPALIVE_SECONDS > monotonic():
                return connection
            self._drop(connection)
        return None

    async def _connect(self, origin: Origin, end: float, connect_end: float) -> Connection:
        if self._closed:
            raise RuntimeError("the client is closed")
        while self._idle and len(self._open) + self._connecting >= self._limit:
            self._drop(next(iter(self._idle)))
        make = partial(Connection, self._loop, self._lost)
        self._connecting += 1
        try:
            async with _connect_limit(end, connect_end):
                connection = await self._connector.connect(
                    origin.host, origin.port, make, secure=origin.secure
                )
        finally:
            self._connecting -= 1
        self._open[connection] = origin
        return connection

    async def _send(
        self,
        connection: Connection,
        request: bytes,
        end: float,
        read_limit: int | None,
        may_send: MaySend | None,
        *,
        slot: LargeBodySlot | None,
    ) -> RawResponse:
        try:
            if may_send:
                async with asyncio.timeout(end - monotonic()):
                    await may_send()
            left = end - monotonic()
            if left <= 0:
                raise TimeoutError  # nothing is sent whose answer nobody awaits
            return await connection.send(request, left, read_limit, slot)
        finally:
            if connection.reusable and not self._closed:
                self._keep(connection)
            else:
                self._drop(connection)

    def _keep(self, connection: Connection) -> None:
        self._idle[connection] = monotonic()
        self._open[connection].idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(KEEPALIVE_SECONDS, self._sweep)

    def _drop(self, connection: Connection) -> None:
        self._lost(connection)
        connection.abort()

    def _lost(self, connection: Connection) -> None:
        """Forget a connection that was closed."""
        origin = self._open.pop(connection, None)
        if self._idle.pop(connection, None) is not None and origin:
            origin.idle.remove(connection)

    def _sweep(self) -> None:
        """Close the connections that have been idle too long."""
        for connection, since in [*self._idle.items()]:
            if since + KEEPALIVE_SECONDS <= monotonic():
                self._drop(connection)
        self._sweeper = None
        if self._idle:
            self._sweeper = self._loop.call_later(KEEPALIVE_SECONDS, self._sweep)


@asynccontextmanager
async def _connect_limit(
    end: float, connect_end: float, error: type[TimeoutError] = ConnectTimeoutError
) -> AsyncIterator[None]:
    """Limit the time to connect; this error, unless `end` came first."""
    try:
        async with asyncio.timeout(min(end, connect_end) - monotonic()):
            yield
    except TimeoutError:
        raise (TimeoutError if end < connect_end else error) from None
