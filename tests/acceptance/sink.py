"""A subscriber that checks every signature with other people's code, and remembers."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import standardwebhooks
from aiohttp import web

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBzdWJzY3JpYmVyLCBtYWRlIHVw"


@dataclass(frozen=True)
class Call:
    """One callback as it came."""

    at: float  # monotonic
    headers: dict[str, str]
    body: bytes
    event: Any

    @property
    def id(self) -> str:
        """What stays the same over all attempts."""
        return self.headers["webhook-id"]

    @property
    def job(self) -> str:
        """The job that it tells of."""
        job: str = self.event["data"]["id"]
        return job


Answer = Callable[[Call], Awaitable[web.Response]]


async def ok(_: Call) -> web.Response:
    """Take it."""
    return web.Response()


@dataclass
class Sink:
    """What one subscriber got. Calls whose signature does not hold are refused and listed."""

    answer: Answer = ok
    calls: list[Call] = field(default_factory=list)
    forged: list[bytes] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body, at = await request.read(), time.monotonic()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            event = standardwebhooks.Webhook(SECRET).verify(body, headers)
        except standardwebhooks.WebhookVerificationError:
            self.forged.append(body)
            return web.Response(status=401)
        call = Call(at, headers, body, event)
        self.calls.append(call)
        return await self.answer(call)

    @property
    def jobs(self) -> set[str]:
        """The jobs that callbacks came for."""
        return {call.job for call in self.calls}

    def ids(self) -> dict[str, set[str]]:
        """The webhook-ids of each job's callbacks."""
        found = defaultdict(set)
        for call in self.calls:
            found[call.job].add(call.id)
        return found


class Gate:
    """Holds answers back until it is opened."""

    def __init__(self) -> None:
        """Closed."""
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let all answers go."""
        self._open.set()

    async def answer(self, _: Call) -> web.Response:
        """Take it, once the gate is open."""
        await self._open.wait()
        return web.Response()
