"""A subscriber that accepts and never answers holds up only itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from .feed import Caller, push
from .sink import Gate, Sink
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

JOBS = 300  # more than one subscriber gets at the same time
PROMPTLY = 4.0  # seconds for all of them; a hanging call takes 15


@asynccontextmanager
async def subscribed(caller: Caller, source: str, *sinks: Sink) -> AsyncIterator[None]:
    """Subscriptions that are removed afterwards, so that nobody goes on trying."""
    made = [await caller.subscribe(sink, source) for sink in sinks]
    try:
        yield
    finally:
        for one in made:
            await caller.call("DELETE", f"/v1/subscriptions/{one}")


@pytest.mark.parametrize("hanging", [1, 5])
async def test_others_are_called_back_promptly(caller: Caller, source: str, hanging: int) -> None:
    async with Sink() as quick, _hang() as url:
        slow = [Sink(Gate().answer, url=f"{url}/{n}") for n in range(hanging)]
        async with subscribed(caller, source, *slow, quick):
            jobs = {f"job-{n}" for n in range(JOBS)}
            began = time.monotonic()
            await caller.push_all(push(source, job, "succeeded") for job in jobs)
            left = began + PROMPTLY - time.monotonic()
            await until(lambda: quick.jobs == jobs, left, "the quick subscriber's callbacks")


@asynccontextmanager
async def _hang() -> AsyncIterator[str]:
    """A server that accepts connections and reads nothing."""
    lines = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        await writer.wait_closed()

    server = await asyncio.start_server(take, "127.0.0.1", 0, backlog=2048)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for line in lines:
            line.transport.abort()
        await server.wait_closed()
