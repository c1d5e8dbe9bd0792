"""The ceiling: a bare aiohttp loop that signs and posts, and keeps nothing.

`BENCH_LOOP="RUN COUNT PART PARTS"`: it makes every event whose number is PART modulo PARTS.
"""

import asyncio
import os
import time
from collections.abc import Iterator

import aiohttp
import callbacks
import delivery_events
import uvloop


async def send(http: aiohttp.ClientSession, url: str, ready: Iterator[tuple[str, bytes]]) -> None:
    """Post the next event when the last one was answered, until there is none."""
    for event, body in ready:
        await callbacks.post(http, url, event, body, time.time())


async def main(url: str, run: int, numbers: range) -> None:
    """Post all, over as many connections as arq's worker has; then stay, to be weighed."""
    ready = [(delivery_events.event_id(run, n), delivery_events.body(run, n)) for n in numbers]
    feed = iter(ready)
    async with callbacks.session() as http:
        await asyncio.gather(*(send(http, url, feed) for _ in range(callbacks.CONNECTIONS)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    run, count, part, parts = map(int, os.environ["BENCH_LOOP"].split())
    uvloop.run(main(os.environ["BENCH_SINK"], run, range(part, count, parts)))
