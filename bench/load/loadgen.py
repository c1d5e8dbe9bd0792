"""The load generator: keep-alive connections that send ready bytes and count the answers.

Closed loop (throughput): a connection sends the next push when its last one was answered.
Open loop (latency): pushes leave at their times whatever the answers do.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bench.load import http11

STATUS = slice(9, 12)  # of b"HTTP/1.1 202 …"
TWO = ord("2")


class Connection(asyncio.Protocol):
    """One connection to the receiver; `feed` gives its next push, or None."""

    def __init__(self, feed: Iterator[bytes], load: "Load") -> None:
        """Share the feed and the tally with the other connections."""
        self.feed = feed
        self.load = load
        self.rest = b""
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the way to send."""
        self.transport = transport

    def send(self) -> None:
        """Send the next push, if there is one."""
        if (push := next(self.feed, None)) is not None:
            self.transport.write(push)
        elif not self.finished.done():
            self.finished.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Count each whole answer and send what comes after it."""
        data, done = self.rest + data, 0
        for start, _, end in http11.messages(data):
            self.load.count(data[start:end])
            self.send()
            done = end
        self.rest = data[done:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the run if the receiver hung up in the middle of it."""
        if not self.finished.done():
            self.finished.set_exception(ConnectionError(f"the receiver hung up: {exc}"))


class Load:
    """A set of connections to one receiver, and how it answered."""

    def __init__(self, ports: Sequence[int]) -> None:
        """Take loopback ports, which the connections are spread over."""
        self.ports = ports
        self.statuses: Counter[bytes] = Counter()
        self.refusal = b""  # the first answer outside 2xx
        self.connections: list[Connection] = []

    async def connect(self, count: int, feed: Iterator[bytes]) -> None:
        """Open the connections; nothing is sent yet."""
        loop = asyncio.get_running_loop()
        for port in itertools.islice(itertools.cycle(self.ports), count):
            _, connection = await loop.create_connection(
                lambda: Connection(feed, self), "127.0.0.1", port
            )
            self.connections.append(connection)

    def count(self, answer: bytes) -> None:
        """Tally one answer."""
        status = answer[STATUS]
        self.statuses[status] += 1
        if status[0] != TWO:
            self.refusal = self.refusal or answer

    def close(self) -> None:
        """Close all connections."""
        for connection in self.connections:
            connection.finished.cancel()
            connection.transport.close()

    def check(self) -> None:
        """Raise if any push was refused: such a run measures something else."""
        if self.refusal:
            tally = {status.decode(): count for status, count in self.statuses.items()}
            raise RuntimeError(f"pushes were refused: {tally}; the first: {self.refusal!r}")


async def closed_loop(ports: Sequence[int], pushes: Iterable[bytes], connections: int) -> float:
    """Send every push as fast as the answers come; return when the first one left."""
    load = Load(ports)
    await load.connect(connections, iter(pushes))
    try:
        started = time.perf_counter()
        for connection in load.connections:
            connection.send()
        await asyncio.gather(*(c.finished for c in load.connections))
    finally:
        load.close()
    load.check()
    return started


async def answered(
    ports: Sequence[int], pushes: Iterable[tuple[float, bytes]], count: int, connections: int
) -> None:
    """Send `count` pushes at their times, and return once each has an answer."""
    load = Load(ports)
    await load.connect(connections, iter(()))
    try:
        await open_loop(load, pushes)
        while load.statuses.total() < count:  # noqa: ASYNC110 -- a benchmark may look again
            await asyncio.sleep(0.01)
    finally:
        load.close()
    load.check()


async def open_loop(load: Load, pushes: Iterable[tuple[float, bytes]]) -> list[float]:
    """Send each push at its time (seconds from now); return when each really left."""
    start, left = time.perf_counter(), []
    for connection, (at, push) in zip(itertools.cycle(load.connections), pushes, strict=False):
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        left.append(time.perf_counter())
        connection.transport.write(push)
    return left
