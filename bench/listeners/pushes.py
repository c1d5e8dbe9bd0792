"""The pushes of the listeners' section: one in twenty causes an event."""

import asyncio
import itertools
import time

from bench.load import http11, workload

LINES = 16  # connections
QUIET = 20  # pushes of a steady load, of which one causes an event
WARM = 500  # pushes before anything is measured


class Pusher:
    """Pushes over a few connections, and notes how long each 202 took and when it came."""

    def __init__(self, run: int) -> None:
        """Number the jobs of this run from 0; the first causes no events, once it runs."""
        self.run = run
        self.numbers = itertools.count()
        self.quiet = workload.job_id(run, next(self.numbers))
        self.took: list[float] = []  # milliseconds
        self.answered: dict[str, float] = {}
        self.lines: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

    async def connect(self, port: int) -> None:
        """Open the connections, and warm up."""
        self.lines = asyncio.Queue()
        for _ in range(LINES):
            self.lines.put_nowait(await asyncio.open_connection("127.0.0.1", port))
        await asyncio.gather(*(self.repeat() for _ in range(WARM)))

    def close(self) -> None:
        """Close all connections."""
        while not self.lines.empty():
            self.lines.get_nowait()[1].close()

    async def repeat(self) -> None:
        """Push what is known already, with a new message id: it costs what a push costs, without an event."""
        name = b"msg_%d_%d" % (self.run, next(self.numbers))
        await self.push(workload.signed(name, workload.body(self.quiet, b"running", b"0.5")))

    async def finish_job(self) -> None:
        """Push a new job's end, which causes an event."""
        job = workload.job_id(self.run, next(self.numbers))
        await self.push(workload.succeeded(job))
        self.answered[job.decode()] = time.perf_counter()

    async def push(self, content: bytes) -> None:
        """Send one push; raise unless it is taken."""
        began = time.perf_counter()
        reader, writer = await self.lines.get()
        writer.write(content)
        head = await reader.readuntil(http11.HEAD_END)
        self.took.append(1000 * (time.perf_counter() - began))
        await reader.readexactly(http11.body_length(head))
        self.lines.put_nowait((reader, writer))
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"a push was refused: {head!r}")

    async def steadily(self, rate: float, events: int) -> None:
        """Push at a rate until so many events were caused."""
        self.took.clear()
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(events * QUIET):
                await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
                group.create_task(self.repeat() if number % QUIET else self.finish_job())

    async def at_once(self, events: int) -> None:
        """Push so many events as fast as the connections take them."""
        await asyncio.gather(*(self.finish_job() for _ in range(events)))
