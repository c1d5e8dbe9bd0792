"""The subscribers of the delivery bench: those that answer at once, and three that fail."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from bench import processes
from bench.load import http11, sink as sinks, workload

WARM = 0.1  # the part of a run's events that comes before its clock starts
HANGING = 30.0  # seconds that the hanging subscriber takes to answer
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"


class DeliverySink(sinks.Sink):
    """Notes every event of a request, since a batch has many."""

    def expect(self, run: int, jobs: int) -> None:
        """Wait for the events of a new run; `began` is set when its first tenth has come."""
        super().expect(run, jobs)
        self.warm = int(jobs * WARM)
        self.began = asyncio.Event()

    def arrived(self, data: bytes, start: int, end: int) -> None:
        """Note every event of a request; `callbacks` counts the requests."""
        now, size = time.perf_counter(), len(self.mark) + workload.ID_DIGITS
        at = data.find(self.mark, start, end)
        self.callbacks += at >= 0
        while at >= 0:
            self.seen.setdefault(data[at : at + size], now)
            at = data.find(self.mark, at + size, end)
        if len(self.seen) > self.warm:
            self.began.set()
        if len(self.seen) >= self.jobs:
            self.done.set()


def rate(sink: sinks.Sink) -> float:
    """Return a finished run's callbacks per second, its first tenth left out as warm-up."""
    times = sorted(sink.seen.values())
    warm = int(len(times) * WARM)
    return (len(times) - 1 - warm) / (times[-1] - times[warm])


def healthy_name(number: int) -> str:
    """Return the name of a healthy subscriber."""
    return f"healthy{number:02d}"


class Slow(asyncio.Protocol):
    """One connection of a failing subscriber: it answers late, or that it is busy."""

    def __init__(self, answer: bytes, seconds: float) -> None:
        """Answer so, after so long."""
        self.answer = answer
        self.seconds = seconds
        self.rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the way to answer."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request in its time."""
        data, done = self.rest + data, 0
        for _, _, end in http11.messages(data):
            asyncio.get_running_loop().call_later(self.seconds, self.reply)
            done = end
        self.rest = data[done:]

    def reply(self) -> None:
        """Answer, unless the connection is closing."""
        if not self.transport.is_closing():
            self.transport.write(self.answer)


@contextlib.asynccontextmanager
async def subscribers(sink: sinks.Sink, healthy: int) -> AsyncIterator[dict[str, str]]:
    """Listen as so many healthy ones and the three; give URLs by name, the three last.

    Each has a port of its own, as each would have a host of its own.
    """
    loop = asyncio.get_running_loop()
    makers = {healthy_name(n): lambda: sinks.SinkConnection(sink) for n in range(healthy)}
    makers["hanging"] = lambda: Slow(sinks.ANSWER, HANGING)
    makers["busy"] = lambda: Slow(BUSY, 0.0)
    async with contextlib.AsyncExitStack() as stack:
        urls = {}
        for name, make in makers.items():
            server = await loop.create_server(make, "127.0.0.1", 0)
            stack.callback(server.close)
            urls[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{name}"
        yield urls | {"dead": f"http://127.0.0.1:{processes.free_port()}/dead"}
