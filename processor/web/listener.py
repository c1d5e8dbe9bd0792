"""Accepts connections: a few at a time, and never more than the limit of open files allows.

asyncio's own servers accept everything that waits, and once no file is left they drop the
kernel's queue with all connections in it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable

import uvicorn

from processor.web.process_limits import ProcessLimits
from processor.web.protocol import OVERLOADED

ACCEPTED_TOGETHER = 64  # in one iteration of the loop, within RESERVED_FILES of connection_limit
DATE = 0  # the number of a tick of uvicorn that renews the Date
PAUSE = 0.05  # seconds until the next try, if the system has no file left

Factory = Callable[[], asyncio.Protocol]


class Listener:
    """The listening sockets of one process, which it closes in the end."""

    def __init__(self, limits: ProcessLimits, sockets: Iterable[socket.socket]) -> None:
        self._limits = limits
        self._sockets = list(sockets)
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, factory: Factory) -> None:
        """Accept connections."""
        for listening in self._sockets:
            self._watch(listening, factory)

    def close(self) -> None:
        """Stop accepting connections."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._sockets.clear()

    async def started(self) -> None:
        """Return once every accepted connection is with its protocol."""
        await asyncio.gather(*self._tasks)

    def _watch(self, listening: socket.socket, factory: Factory) -> None:
        if listening in self._sockets:
            loop = asyncio.get_running_loop()
            loop.add_reader(listening, self._accept, listening, factory)

    def _accept(self, listening: socket.socket, factory: Factory) -> None:
        for _ in range(ACCEPTED_TOGETHER):
            self._make_room()
            try:
                client, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file or memory left, although we close some
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening)
                loop.call_later(PAUSE, self._watch, listening, factory)
                return
            self._start(client, factory)

    def _start(self, client: socket.socket, factory: Factory) -> None:
        client.settimeout(0.0)
        if self._limits.connections.full:  # of connections with requests in progress
            with contextlib.suppress(OSError):
                client.send(OVERLOADED)
            client.close()
            self._limits.closed("full")
            return
        self._limits.connections.open += 1
        task = asyncio.create_task(self._serve(client, factory))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket, factory: Factory) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(factory, client)
        except OSError:  # it is closed already
            self._limits.connections.open -= 1
            client.close()

    def _make_room(self) -> None:
        """Close idle connections, or else the one with the slowest body."""
        connections = self._limits.connections
        if not connections.full:
            return
        closing = connections.evict_idle()
        if not closing:
            slowest = self._limits.bodies.slowest(asyncio.get_running_loop().time())
            closing = [slowest.owner] if slowest else []
        for connection in closing:
            connection.evict()


class ListeningServer(uvicorn.Server):
    """uvicorn's server with our listener."""

    def __init__(self, config: uvicorn.Config, listener: Listener) -> None:
        super().__init__(config)
        self._listener = listener
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End `main_loop`."""
        self.should_exit = True
        self._stopped.set()

    async def main_loop(self) -> None:
        """Renew the Date of answers each second, until stopped: theirs wakes ten times as often."""
        while not await self.on_tick(DATE):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stopped.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- as theirs
        """Start the application, then accept connections."""
        await super().startup(sockets=[])
        config = self.config

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg] # theirs
                config=config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            return made

        self._listener.listen(protocol)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- as theirs
        """Stop accepting, then end the calls in progress, also those of the last connections."""
        self._listener.close()
        await self._listener.started()
        await super().shutdown(sockets=[])
