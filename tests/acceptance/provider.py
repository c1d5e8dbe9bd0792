"""A simulated provider: status calls on a port that its source is configured with."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Tell = Callable[[str], Awaitable[web.Response]]


async def hang(_: str) -> web.Response:
    """Take the question, and never answer."""
    await asyncio.Event().wait()
    raise AssertionError


def says(document: Any, status: int = 200) -> Tell:
    """Answer this, whoever asks."""

    async def tell(_: str) -> web.Response:
        return web.json_response(document, status=status)

    return tell


@dataclass
class Provider:
    """Answers `tell(path and query)`; remembers what was asked when."""

    port: int
    tell: Tell
    asked: list[tuple[float, str]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)  # the Authorization of each

    async def __aenter__(self) -> Self:
        """Listen."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((time.monotonic(), request.path_qs))
        self.tokens.append(request.headers.get("Authorization"))
        return await self.tell(request.path_qs)
