"""One address before several Redises: what a failover, or a restored copy, looks like to clients."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes on to a Unix socket, which can be changed; connections are cut then."""

    def __init__(self, target: str) -> None:
        """Take the socket to begin with."""
        self.target: str | None = target
        self._lines: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[object]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and cut all."""
        self._server.close()
        self.lead_to(None)
        await asyncio.wait_for(asyncio.gather(*self._serving), 5.0)

    @property
    def url(self) -> str:
        """What goes into REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def lead_to(self, target: str | None) -> None:
        """Lead to another socket from now on, or (None) refuse."""
        self.target = target
        for line in tuple(self._lines):
            line.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = self.target
        if target is None:
            writer.transport.abort()
            return
        if task := asyncio.current_task():
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        with suppress(OSError):
            theirs, ours = await asyncio.open_unix_connection(target)
            self._lines |= {writer, ours}
            if target != self.target:
                self.lead_to(self.target)
            try:
                await asyncio.gather(_pass(reader, ours), _pass(theirs, writer))
            finally:
                self._lines -= {writer, ours}
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
