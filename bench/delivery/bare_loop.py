"""The upper limit: a loop that signs and posts through one client, and keeps nothing.

`BENCH_LOOP="CLIENT RUN COUNT PART PARTS"`: it makes every event whose number is PART modulo PARTS,
over as many connections as arq's worker has.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvloop

from bench.contenders import callbacks
from bench.delivery import events
from processor.egress import Egress, NetworkScope, Policy

URL = os.environ.get("BENCH_SINK", "")
Post = Callable[[str, bytes], Awaitable[object]]
"""Signs and posts an event by its id and body."""


@contextlib.asynccontextmanager
async def aiohttp() -> AsyncIterator[Post]:
    """Post through a bare session of aiohttp, as the baselines do."""
    async with callbacks.session() as http:
        yield lambda event, body: callbacks.post(http, URL, event, body, time.time())


@contextlib.asynccontextmanager
async def egress() -> AsyncIterator[Post]:
    """Post through Ringback's own client, whose guard judges every address."""
    async with Egress(Policy()) as client:
        yield lambda event, body: client.request(
            "POST",
            URL,
            headers=callbacks.headers(event, body, time.time()),
            body=body,
            scope=NetworkScope.CONFIGURED,
            body_wanted=False,
        )


CLIENTS = {"aiohttp": aiohttp, "egress": egress}


async def send(post: Post, ready: Iterator[tuple[str, bytes]]) -> None:
    """Post the next event when the last one was answered, until there is none."""
    for event, body in ready:
        await post(event, body)


async def main(client: str, run: int, numbers: range) -> None:
    """Post all; then stay, to be measured."""
    ready = iter([(events.event_id(run, n), events.body(run, n)) for n in numbers])
    async with CLIENTS[client]() as post:
        await asyncio.gather(*(send(post, ready) for _ in range(callbacks.CONNECTIONS)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    client, *numbers = os.environ["BENCH_LOOP"].split()
    run, count, part, parts = map(int, numbers)
    uvloop.run(main(client, run, range(part, count, parts)))
