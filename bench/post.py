"""Section: what a POST costs its sender, through Ringback's own client and through aiohttp.

100 requests in flight under uvloop, 1 KiB each with the headers of a delivery, to a server in a
process of its own that answers at once. Only this process's time counts. Each client connects anew
in each round.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvloop

from bench import report
from bench.contenders import callbacks
from bench.load import sink
from bench.report import Result
from bench.runner import Runner, say
from processor.egress import Egress, NetworkScope, Policy

ROUNDS = 5
COUNT = 20_000  # requests of a client in a round
IN_FLIGHT = 100
BODY = b"x" * 1024
HEADERS = callbacks.headers("evt_01JDN8Q2V4T0PZ4W8Y6K3M5R7A", BODY, 1_764_400_000.0)
Post = Callable[[], Awaitable[object]]


@contextlib.asynccontextmanager
async def egress(url: str, *, wanted: bool) -> AsyncIterator[Post]:
    """Post through the guard: as a delivery, or with a body that is read, as a poll's is."""
    async with Egress(Policy()) as client:
        yield lambda: client.request(
            "POST",
            url,
            headers=HEADERS,
            body=BODY,
            scope=NetworkScope.CONFIGURED,
            body_wanted=wanted,
        )


@contextlib.asynccontextmanager
async def aiohttp(url: str) -> AsyncIterator[Post]:
    """Post through a bare session of aiohttp."""
    async with callbacks.session() as session:

        async def post() -> None:
            async with session.post(url, data=BODY, headers=HEADERS, allow_redirects=False):
                pass

        yield post


CLIENTS = {
    "a delivery": lambda url: egress(url, wanted=False),
    "with its body read": lambda url: egress(url, wanted=True),
    "aiohttp": aiohttp,
}


async def cost(client: str, url: str, count: int) -> float:
    """Return the µs of this process's time that a request takes."""

    async def some(post: Post, many: int) -> None:
        for _ in range(many):
            await post()

    async with CLIENTS[client](url) as post:
        for times in (max(1, count // 10 // IN_FLIGHT), max(1, count // IN_FLIGHT)):
            began = time.process_time()
            await asyncio.gather(*(some(post, times) for _ in range(IN_FLIGHT)))
        return (time.process_time() - began) / (times * IN_FLIGHT) * 1e6  # the first warms up


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start the server; give its URL."""
    argv = [sys.executable, "-m", "bench.post"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


async def measure(runner: Runner) -> Result:
    """Time each client once a round."""
    found: dict[str, list[float]] = {name: [] for name in CLIENTS}
    with server() as url:
        for _ in range(runner.rounds(ROUNDS)):
            for name, costs in found.items():
                costs.append(await cost(name, url, runner.size(COUNT)))
                say(f"{name:20} {costs[-1]:4.0f} µs")
    rows = [
        (
            name,
            report.spread(costs, ".0f"),
            report.spread(report.divided(costs, found["aiohttp"]), ".2f"),
        )
        for name, costs in found.items()
    ]
    table = report.table(("a POST", "µs of the sender", "of aiohttp"), rows)
    ratios = report.divided(found["a delivery"], found["aiohttp"])
    goal = report.at_most("a delivery: less than half of aiohttp's cost", ratios, 0.5, ".2f")
    return Result([table], goal, found)


async def serve() -> None:
    """Be the server: print the URL, and end with the standard input."""
    listening, url = await sink.serve(sink.Sink())
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    listening.close()


if __name__ == "__main__":
    uvloop.run(serve())
