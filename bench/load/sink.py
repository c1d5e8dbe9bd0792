"""The subscriber that everyone calls back: answers 200, notes which job came when.

It verifies nothing, because its cost is shared by every contender; that callbacks are
signed correctly is the business of the other tests.
"""

import asyncio
import time

from bench.load import http11, workload

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
STALL = 20.0  # seconds without a callback after which a run has failed


class Sink:
    """Which jobs were called back for, and when."""

    def __init__(self) -> None:
        """Expect nothing yet."""
        self.expect(0, 0)

    def expect(self, run: int, jobs: int) -> None:
        """Forget the last run and wait for this many jobs of a new one."""
        self.mark = workload.mark(run)
        self.jobs = jobs
        self.seen: dict[bytes, float] = {}  # job id → perf_counter of its first callback
        self.callbacks = 0
        self.done = asyncio.Event()

    def arrived(self, data: bytes, start: int, end: int) -> None:
        """Note one callback; those of an earlier run are not counted."""
        at = data.find(self.mark, start, end)
        if at < 0:
            return
        self.callbacks += 1
        self.seen.setdefault(
            data[at : at + len(self.mark) + workload.ID_DIGITS], time.perf_counter()
        )
        if len(self.seen) == self.jobs:
            self.done.set()

    async def finished(self) -> None:
        """Return when every job was called back for; raise if callbacks stop coming."""
        while not self.done.is_set():
            before = self.callbacks
            try:
                await asyncio.wait_for(self.done.wait(), STALL)
            except TimeoutError:
                if self.callbacks == before:
                    raise RuntimeError(
                        f"only {len(self.seen)} of {self.jobs} jobs called back"
                    ) from None


class SinkConnection(asyncio.Protocol):
    """One keep-alive connection of a contender."""

    def __init__(self, sink: Sink) -> None:
        """Report to `sink`."""
        self.sink = sink
        self.rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the way to answer."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Note and answer each whole callback."""
        data, done = self.rest + data, 0
        for _, content, end in http11.messages(data):
            self.sink.arrived(data, content, end)
            self.transport.write(ANSWER)
            done = end
        self.rest = data[done:]


async def serve(sink: Sink) -> tuple[asyncio.Server, str]:
    """Listen on a free loopback port; return the server and its URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SinkConnection(sink), "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callbacks"
