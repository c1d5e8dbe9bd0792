"""A crowd of readers of /v1/events in a process of its own: `python -m bench.listeners.crowd PORT COUNT`.

It prints a line of JSON when all are open: the seconds that it took. Then, for each line with a
number of events on its standard input, one when every reader has had so many more: job id →
when it came to each, by the clock that `time.perf_counter` is for all processes of a machine.
"""

import asyncio
import json
import re
import sys
import time
from collections import defaultdict

import uvloop

from bench import processes

TOGETHER = 50  # that are being opened
TAIL = 64  # bytes of a piece that may be half a job id
JOB = re.compile(rb'"id":"(run\d{4}-\d{7})"')
REQUEST = (
    b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
    b"Authorization: Bearer %b\r\n\r\n" % processes.KEY.encode()
)


class Crowd:
    """What all readers have seen since they were last asked."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.seen: dict[str, list[float]] = defaultdict(list)
        self.total, self.wanted = 0, 0
        self.complete = asyncio.Event()

    def came(self, job: str, now: float) -> None:
        """Note that one reader got a job's event."""
        self.seen[job].append(now)
        self.total += 1
        if self.total == self.wanted:
            self.complete.set()

    async def all(self, wanted: int) -> dict[str, list[float]]:
        """Wait until so many came, all readers together; start again from zero."""
        self.wanted = wanted
        if self.total < wanted:
            await self.complete.wait()
        came, self.seen, self.total = self.seen, defaultdict(list), 0
        self.complete.clear()
        return came


class Reader(asyncio.Protocol):
    """One reader, which looks for nothing but job ids."""

    def __init__(self, crowd: Crowd) -> None:
        """Nothing came yet."""
        self.crowd = crowd
        self.rest = b""
        self.open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Ask for the stream."""
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """Note when each job's event came."""
        now, data, end = time.perf_counter(), self.rest + data, 0
        if not self.open.done() and b"retry: " in data:
            self.open.set_result(None)
        for found in JOB.finditer(data):
            self.crowd.came(found[1].decode(), now)
            end = found.end()
        self.rest = data[end:][-TAIL:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail: no connection may be closed."""
        sys.exit(f"a reader's connection was closed: {exc}, after {self.rest!r}")


def say(what: object) -> None:
    """Print an answer for the bench."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(port: int, count: int) -> None:
    """Open them, and answer until the input ends."""
    loop, crowd, turn = asyncio.get_running_loop(), Crowd(), asyncio.Semaphore(TOGETHER)

    async def come() -> None:
        async with turn:
            _, reader = await loop.create_connection(lambda: Reader(crowd), "127.0.0.1", port)
            await reader.open

    began = time.perf_counter()
    await asyncio.gather(*(come() for _ in range(count)))
    say(time.perf_counter() - began)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        say(await crowd.all(int(line) * count))
    sys.exit()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
