"""A subscriber whose stream is cut at random, and who resumes: no gap, no duplicate."""

import asyncio
import itertools
import json
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import pytest
import redis

from .conftest import standard
from .feed import Caller, Push, push
from .processes import BEARER
from .system import WEB, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

CUTS = 40
JOBS = 300  # at least
SENDERS = 8
LONGEST = 60_000  # bytes of the stream until it is cut
PIECE = 10_000  # bytes that are read at once
PAUSE = 0.1  # seconds before it is resumed, at most; every other time it is at once
LOG = "{rb:0}:log"  # of all events
FAR = 1_800  # events: more than a reader may lag behind, and the kernel keeps for it besides
LARGE = 16_000  # bytes of an event while the reader lags, so that the kernel is soon full


def narrow(address: Any) -> socket.socket:
    """A socket for which the kernel keeps little."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    made.setblocking(False)  # noqa: FBT003 -- theirs
    return made


class Reader:
    """Keeps what it has read whole, and asks for what is behind that."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        """Begin from now on."""
        self._http = http
        self._url = url
        self.last = ""
        self.ids: list[str] = []
        self.finished: set[str] = set()  # jobs

    async def read(self, most: int, halt: Callable[[], Awaitable[None]] | None = None) -> bool:
        """Read up to so many bytes, and halt after the first; whether the server ended it."""
        part = b""  # of a frame: lost when the line is cut
        headers = {"Accept": "text/event-stream"}
        if self.last:
            headers["Last-Event-ID"] = self.last
        with suppress(aiohttp.ClientError):
            async with self._http.get(self._url, headers=headers) as answer:
                while most and (data := await answer.content.read(min(most, PIECE))):
                    most -= len(data)
                    *frames, part = (part + data).split(b"\n\n")
                    for frame in frames:
                        self._keep(frame.decode())
                    if halt:
                        await halt()
                        halt = None
        return bool(most)

    async def read_until(self, true: Callable[[], object], what: str) -> None:
        """Read until something is so, and no further; who is sent away comes again."""

        async def read() -> None:
            while True:
                await self.read(sys.maxsize)

        reading = asyncio.create_task(read())
        await until(true, 15, what)
        reading.cancel()
        await asyncio.wait({reading})

    def _keep(self, frame: str) -> None:
        fields = dict(line.split(": ", 1) for line in frame.splitlines())
        self.last = fields.get("id", self.last)
        if "data" in fields:
            event = json.loads(fields["data"])
            self.ids.append(event["id"])
            if event["type"] == "job.succeeded":
                self.finished.add(event["data"]["id"])


class Feed:
    """Pushes jobs until it is stopped, and each push until it is taken."""

    def __init__(self, caller: Caller) -> None:
        """Nothing was pushed yet."""
        self._caller = caller
        self._numbers = itertools.count()
        self.result = ""
        self.stopped = False
        self.finished: set[str] = set()  # jobs

    async def run(self) -> None:
        """Push from several senders at a time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send())

    async def _send(self) -> None:
        while not self.stopped:
            job = f"j{next(self._numbers)}"
            for word in ("running", "succeeded"):
                one = push("lab", job, word, result=self.result)
                await until_it(partial(self._accepted, one), 15, f"a 202 for {job}")
            self.finished.add(job)

    async def _accepted(self, one: Push) -> bool:
        with suppress(aiohttp.ClientError):
            return await self._caller.push(one) == 202
        return False


class Mishaps:
    """What may happen to a reader, by name."""

    def __init__(self, chance: random.Random, system: System, reader: Reader, feed: Feed) -> None:
        """Take who is concerned."""
        self._chance = chance
        self._system = system
        self._reader = reader
        self._feed = feed

    async def cut(self) -> None:
        """The line is cut at any byte."""

        async def once() -> bool:
            return not await self._reader.read(self._chance.randint(1, LONGEST))

        await until_it(once, 15, "a line that the reader itself cut")

    async def lag(self) -> None:
        """The reader takes nothing for a while, and the server sends it away."""
        self._feed.result = "x" * LARGE

        async def halt() -> None:
            with redis.Redis.from_url(self._system.redis.url) as store:
                enough = store.xlen(LOG) + FAR
                await until(lambda: store.xlen(LOG) > enough, 40, "a long way behind")

        assert await self._reader.read(FAR * LARGE, halt), "the reader was not sent away"
        self._feed.result = ""
        await self.catch_up()

    async def catch_up(self) -> None:
        """The reader stays until it has heard of all jobs that are finished now."""
        finished = set(self._feed.finished)
        await self._reader.read_until(lambda: finished <= self._reader.finished, "all jobs' ends")

    async def crash(self) -> None:
        """The web process ends without warning, and comes again on its port."""

        async def halt() -> None:
            self._system.children["web"].kill()
            self._system.start("web", *WEB)

        assert await self._reader.read(sys.maxsize, halt)


async def test_a_subscriber_cut_off_at_random_misses_nothing_and_gets_nothing_twice(
    plan: Callable[..., System],
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 -- shown when it fails
    chance = random.Random(seed)
    names = chance.sample(["lag", "crash"] + ["cut"] * CUTS, CUTS + 2)
    system = plan(standard("lab")).start_all()
    line = aiohttp.TCPConnector(force_close=True, socket_factory=narrow)
    async with (
        Caller(system.url) as caller,
        aiohttp.ClientSession(connector=line, headers=BEARER) as http,
    ):
        assert await caller.push(push("lab", "before", "succeeded")) == 202
        await until_it(lambda: caller.items("/v1/events"), 5, "the event before")
        reader, feed = Reader(http, f"{system.url}/v1/events"), Feed(caller)
        await reader.read_until(lambda: reader.last, "the place where it begins")
        mishaps = Mishaps(chance, system, reader, feed)
        async with asyncio.TaskGroup() as group:
            group.create_task(feed.run())
            for name in names:
                await getattr(mishaps, name)()
                await asyncio.sleep(chance.choice([0, chance.uniform(0, PAUSE)]))
            feed.stopped = True
        await mishaps.catch_up()
        events = [event["id"] for event in await caller.items("/v1/events")]
    assert len(feed.finished) > JOBS
    assert reader.ids == events[1:]
