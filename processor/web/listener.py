"""Accepts connections: a few at a time, and never more than there are files for.

asyncio's own servers accept whatever waits, and once there is no file left the kernel's queue is
dropped, whoever stands in it.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import sys
from collections.abc import Callable

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from processor.web.process_limits import ProcessLimits
from processor.web.protocol import OVERLOADED

ACCEPTED_TOGETHER = 64  # in one turn of the loop, within RESERVED_FILES of connection_limit
PAUSE = 0.05  # seconds until the next try, where the system has no file left

NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

Factory = Callable[[], asyncio.Protocol]


class Listener:
    """The listening sockets of one process."""

    def __init__(self, guards: ProcessLimits) -> None:
        """Accept within the bounds of `guards`."""
        self._guards = guards
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, host: str, port: int, backlog: int, factory: Factory) -> None:
        """Listen at all addresses of a host; OSError where that cannot be."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((f, a) for f, _, _, _, a in found):
            try:
                listening = socket.create_server(address, family=family, backlog=backlog)
            except OSError as error:
                if error.errno not in NOT_HERE or len(found) == 1:
                    raise
                continue  # `localhost` where there is no IPv6
            listening.settimeout(0.0)
            self._sockets.append(listening)
            self._watch(listening, factory)

    def close(self) -> None:
        """Accept no more."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._sockets.clear()

    def _watch(self, listening: socket.socket, factory: Factory) -> None:
        if listening in self._sockets:
            loop = asyncio.get_running_loop()
            loop.add_reader(listening, self._accept, listening, factory)

    def _accept(self, listening: socket.socket, factory: Factory) -> None:
        for _ in range(ACCEPTED_TOGETHER):
            self._make_room()
            try:
                line, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file or no memory left, for all that we close
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening)
                loop.call_later(PAUSE, self._watch, listening, factory)
                return
            self._take(line, factory)

    def _take(self, line: socket.socket, factory: Factory) -> None:
        line.settimeout(0.0)
        if self._guards.connections.full:  # of requests that all are under way
            with contextlib.suppress(OSError):
                line.send(OVERLOADED)
            line.close()
            self._guards.closed("full")
            return
        self._guards.connections.open += 1
        task = asyncio.create_task(self._serve(line, factory))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, line: socket.socket, factory: Factory) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(factory, line)
        except OSError:  # it is gone already
            self._guards.connections.open -= 1
            line.close()

    def _make_room(self) -> None:
        """Have idle connections give way, else the slowest body."""
        connections = self._guards.connections
        if not connections.full:
            return
        given = connections.give_way()
        if not given:
            slowest = self._guards.bodies.slowest(asyncio.get_running_loop().time())
            given = [slowest.owner] if slowest else []
        for one in given:
            one.give_way()


class ListeningServer(uvicorn.Server):
    """uvicorn's server with a listener of ours."""

    def __init__(self, config: uvicorn.Config, listener: Listener) -> None:
        """Serve the connections that `listener` accepts."""
        super().__init__(config)
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- as theirs
        """Start the application, then listen."""
        await super().startup(sockets=[])
        config = self.config

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg] # theirs
                config=config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            return made

        try:
            self._listener.open(config.host, config.port, config.backlog, protocol)
        except OSError as error:
            logging.getLogger("uvicorn.error").error(error)  # noqa: TRY400 -- no traceback, as theirs
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- as theirs
        """Stop listening, then end what is under way."""
        self._listener.close()
        await super().shutdown(sockets=[])
