"""/healthz and /readyz: liveness, readiness."""

import asyncio
import math
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from processor.errors import Unavailable
from processor.service.runtime.context import Context
from processor.service.runtime.outage import Outage
from processor.service.runtime.redis_check import RedisCheck
from processor.web.problems import public_detail
from processor.web.request_body import Json

CACHED = 0.5  # seconds that a good result of a check is reused


class Health:
    """The handlers for monitoring."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.checked = True  # Redis is known to have our data, or no data
        self.draining = False
        self.outage = Outage("web")  # one, so that each outage is logged once
        self.redis_check = RedisCheck(context.store, "web")
        self._good_at = -math.inf
        self._checking = asyncio.Lock()
        self.at_drain: list[Callable[[], None]] = []  # ends calls that would not end by themselves

    def drain(self) -> None:
        """Report that this process is stopping, and end calls that wait."""
        self.draining = True
        for release in self.at_drain:
            release()

    async def alive(self, _: Request) -> Response:
        """The event loop runs; Redis is not asked."""
        return Json({"alive": True})

    async def ready(self, _: Request) -> Response:
        """Redis accepts writes, a worker is alive, and this process is not stopping."""
        lacks = await self._lacks()
        warnings = [problem.detail for problem in self.redis_check.problems]
        answer = {"ready": not lacks, "lacks": lacks, "warnings": warnings}
        return Json(answer, 503 if lacks else 200)

    async def _lacks(self) -> list[str]:
        if self.draining:
            return ["this process is draining"]
        if denied := [p.detail for p in self.redis_check.problems if p.name == "rights"]:
            return denied
        async with self._checking:  # needs no key: one check serves all that wait for it
            silent = self._context.store.connection.watchdog.silent
            if silent or asyncio.get_running_loop().time() - self._good_at > CACHED:
                if lacks := await self._check():
                    return lacks
                self._good_at = asyncio.get_running_loop().time()
        return []

    async def _check(self) -> list[str]:
        try:
            await self._context.store.writable()
            workers = await self._context.store.workers()
        except Unavailable as error:
            return [public_detail(error)]
        return [] if workers else ["no worker is alive: start `ringback worker`"]
