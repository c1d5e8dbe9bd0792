"""A provider that answers at once, in a process of its own. Its jobs never end, except `NAME_UNIXTIME`.

It prints its URL; for each line of standard input it prints what it was asked since the line before,
as JSON: [job, Unix time] of each request.
"""

import asyncio
import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Self

import uvloop

from bench import processes

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
RUNNING, DONE = HEAD + b'{"status": "queued"}', HEAD + b'{"status": "done"  }'
HEAD_END = b"\r\n\r\n"

Asked = list[tuple[str, float]]


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests have no body."""

    def __init__(self, asked: Asked) -> None:
        """Note requests in `asked`."""
        self._asked = asked
        self._rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the way to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Note and answer each request."""
        *heads, self._rest = (self._rest + data).split(HEAD_END)
        for head in heads:
            path = head.split(b" ", 2)[1]
            job, now = path.rpartition(b"/")[2].decode(), time.time()
            self._asked.append((job, now))
            self._transport.write(DONE if ends_at(job) <= now else RUNNING)


def ends_at(job: str) -> float:
    """Return the Unix time at which a job ends."""
    _, known, end = job.partition("_")
    return float(end) if known else math.inf


class Provider:
    """The process, from the outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Read its URL."""
        assert process.stdin
        assert process.stdout
        self._in, self._out = process.stdin, process.stdout
        self.url = self._out.readline().strip()

    def asked(self) -> Asked:
        """Return what it was asked since the last call."""
        self._in.write("\n")
        self._in.flush()
        return [(job, at) for job, at in json.loads(self._out.readline())]

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Self]:
        """Run it until the block ends."""
        argv = [sys.executable, "-m", "bench.polls.provider"]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
            processes.STARTED.add(process.pid)
            try:
                yield cls(process)
            finally:
                process.terminate()
                processes.STARTED.discard(process.pid)


async def serve() -> None:
    """Be the provider until standard input ends."""
    asked: Asked = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(asked), "127.0.0.1", 0, backlog=1024)
    write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    while await asyncio.to_thread(sys.stdin.readline):
        write(json.dumps(asked))
        asked.clear()
    server.close()


def write(line: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve())
