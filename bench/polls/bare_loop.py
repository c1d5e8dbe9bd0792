"""The upper limit: a loop that GETs through a bare session of aiohttp, decodes, and keeps nothing.

`BENCH_LOOP="URL"`: it asks about one job after the other, over `IN_FLIGHT` connections.
"""

import asyncio
import itertools
import os
from collections.abc import Iterator

import aiohttp
import uvloop

from processor.json_input import read_json

IN_FLIGHT = 256  # as many as a worker polls of four sources


async def ask(session: aiohttp.ClientSession, url: str, numbers: Iterator[int]) -> None:
    """GET the next when the last one was answered, for ever."""
    for number in numbers:
        async with session.get(f"{url}/{number}") as response:
            read_json(await response.read())


async def main(url: str) -> None:
    """Run until the process is ended."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:
        numbers = itertools.count()
        await asyncio.gather(*(ask(session, url, numbers) for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    uvloop.run(main(os.environ["BENCH_LOOP"]))
