"""What a POST costs its sender: µs of the client's processor time, ours beside aiohttp.

`python bench/post.py [--rounds 7] [--count 20000]`: 100 requests in flight under uvloop, 1 KiB each
with the headers of a delivery, to a server in another process that answers at once. The rounds are
interleaved, and every client connects anew in each.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import callbacks
import sink
import uvloop
from report import table

from processor.egress import Egress, NetworkScope, Policy

IN_FLIGHT = 100
WARM = 2000  # requests before the clock starts
BODY = b"x" * 1024
HEADERS = {
    "content-type": "application/json",
    "webhook-id": "evt_01JDN8Q2V4T0PZ4W8Y6K3M5R7A",
    "webhook-timestamp": "1764400000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
Post = Callable[[], Awaitable[object]]


async def of_egress(stack: AsyncExitStack, url: str, *, wanted: bool) -> Post:
    """Return a request through the guard: a delivery's, or one whose body is read."""
    egress = await stack.enter_async_context(Egress(Policy()))
    return lambda: egress.request(
        "POST",
        url,
        headers=HEADERS,
        body=BODY,
        scope=NetworkScope.CONFIGURED,
        body_wanted=wanted,
    )


async def of_aiohttp(stack: AsyncExitStack, url: str) -> Post:
    """Return a request of a bare session."""
    session = await stack.enter_async_context(callbacks.session())

    async def post() -> None:
        async with session.post(url, data=BODY, headers=HEADERS, allow_redirects=False):
            pass

    return post


CLIENTS = {
    "a delivery": lambda stack, url: of_egress(stack, url, wanted=False),
    "its body read": lambda stack, url: of_egress(stack, url, wanted=True),
    "aiohttp alone": of_aiohttp,
}


async def cost(name: str, url: str, count: int) -> float:
    """Return µs of this process's time for a request."""

    async def some(post: Post, many: int) -> None:
        for _ in range(many):
            await post()

    async with AsyncExitStack() as stack:
        post = await CLIENTS[name](stack, url)
        await asyncio.gather(*(some(post, WARM // IN_FLIGHT) for _ in range(IN_FLIGHT)))
        began = time.process_time()
        await asyncio.gather(*(some(post, count // IN_FLIGHT) for _ in range(IN_FLIGHT)))
        return (time.process_time() - began) / count * 1e6


async def serve() -> None:
    """Be the server: print the URL, and end with the standard input."""
    server, url = await sink.serve(sink.Sink())
    print(url, flush=True)  # noqa: T201 -- for the parent
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def measure(rounds: int, count: int) -> None:
    """Print a table of all clients."""
    server = subprocess.Popen(  # noqa: ASYNC220 - it starts before the loop has work
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin
    assert server.stdout
    found: dict[str, list[float]] = {name: [] for name in CLIENTS}
    try:
        url = server.stdout.readline().decode().strip()
        for _ in range(rounds):
            for name, costs in found.items():
                costs.append(await cost(name, url, count))
    finally:
        server.stdin.close()
        server.wait()
    head = ("client", "µs a POST: median [least to most]")
    rows = [
        (name, f"{statistics.median(costs):.0f} [{min(costs):.0f}-{max(costs):.0f}]")
        for name, costs in found.items()
    ]
    print(table(head, rows))  # noqa: T201 -- the result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=20_000, help="requests of a client in a round")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    uvloop.run(serve() if given.serve else measure(given.rounds, given.count))
