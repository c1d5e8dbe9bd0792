"""`ringback events --follow` shows what came while the server restarted."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

import pytest

from .conftest import standard
from .feed import Caller, push
from .processes import KEY, Child, free_port
from .system import WEB, WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]


SECOND = (  # a receiver at another port than its environment says
    "import os, runpy; os.environ['PORT'] = '{port}'; "
    "runpy.run_module('processor.web', run_name='__main__')"
)


class Relay:
    """Passes connections on to a receiver, and counts the streams that have begun."""

    def __init__(self, target: int) -> None:
        """Take the receiver's port."""
        self._target = target
        self._connections: set[asyncio.Task[None]] = set()
        self.begun = 0

    async def __call__(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Pass one connection on, until either side or the test ends it."""
        connection = asyncio.create_task(self._pass_on(client, back))
        self._connections.add(connection)
        with suppress(
            OSError, asyncio.CancelledError
        ):  # the receiver was killed, or all are closed
            await connection
        await _closed(back)

    async def _pass_on(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, there = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            there.write(await client.readuntil(b"\r\n\r\n"))
            while data := await server.read(65_536):
                back.write(data)
                self.begun += b"\nid: " in data
        finally:
            await _closed(there)

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def seen(follower: Child) -> list[str]:
    """The jobs of the events that it printed."""
    lines = [json.loads(line) for line in follower.log().splitlines() if line.startswith("{")]
    return [line["data"]["id"] for line in lines]


async def test_followers_that_saw_nothing_yet_miss_nothing(plan: Callable[..., System]) -> None:
    """The stream names where it begins in a block without data; another receiver took the push."""
    system, other, port = plan(standard("feed")), free_port(), free_port()
    web = system.start("web", *WEB)
    system.start("worker", *WORKER)
    system.start("other", "-c", SECOND.format(port=other))
    system.wait_until_ready()
    relay = Relay(system.port)
    words = ("-m", "processor.cli", "events", "--follow", "--json", "--key", KEY)
    async with (
        Caller(f"http://127.0.0.1:{other}") as second,
        await asyncio.start_server(relay, "127.0.0.1", port),
    ):
        url = f"http://127.0.0.1:{port}"
        followers = [system.start(f"follower{n}", *words, "--url", url) for n in (1, 2)]
        await until(lambda: relay.begun == 2, 20, "two streams")
        await until_it(second.serves, 20, "the second receiver")
        web.kill()
        assert await second.push(push("feed", "1", "succeeded")) == 202
        await until_it(lambda: second.items("/v1/events"), 10, "the event")
        system.start("web", *WEB)
        await until(lambda: all(map(seen, followers)), 20, "shown")
        await relay.close()
    assert [seen(follower) for follower in followers] == [["1"], ["1"]]
