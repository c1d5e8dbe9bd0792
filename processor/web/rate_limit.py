"""Rate limit for calls without a key, concurrency limit for large reads: pushes must not wait for them.

Everything runs on one event loop: a push is answered late if thousands of other calls are ready
at the same time. So few large reads run at the same time, and an address gets a limited number of
responses a second without a key.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from processor.errors import Overloaded
from processor.web.client_address import sender_of

LARGE_READS = 2  # at the same time, of the API, the dashboard and agents each; page by page
MAX_WAIT = 10.0  # seconds that a further one waits

RATE = 200.0  # responses a second to one address without a key
BURST = 100  # of them at once
MAX_DELAY = 5.0  # seconds that such a response is delayed
MAX_ADDRESSES = 1000  # remembered; the one that called longest ago is forgotten

Handler = Callable[[Request], Awaitable[Response]]


class LargeReadLimit:
    """Lets few calls read at the same time; the others wait."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(LARGE_READS)

    def limit(self, handler: Handler) -> Handler:
        """The same handler within the limit; Overloaded if it has waited too long."""

        async def answer(request: Request) -> Response:
            async with self.slot():
                return await handler(request)

        return answer

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place among those that read; Overloaded if it was waited for too long."""
        try:
            async with asyncio.timeout(MAX_WAIT):
                await self._slots.acquire()
        except TimeoutError:
            raise Overloaded("Too many lists are being read at once; try again") from None
        try:
            yield
        finally:
            self._slots.release()


class KeylessRateLimit:
    """Delays responses that need no key, for each address by itself."""

    def __init__(self) -> None:
        self._next: OrderedDict[str, float] = (
            OrderedDict()
        )  # address → when its burst is full again

    async def wait(self, scope: Scope) -> None:
        """Return when the caller's address may get one more such response."""
        address = sender_of(scope.get("client"))
        delay = self.delay(address, asyncio.get_running_loop().time())
        if delay > 0:
            await asyncio.sleep(delay)

    def delay(self, address: str, now: float) -> float:
        """Seconds to delay a response at `now`; it counts from then on."""
        due = max(self._next.pop(address, 0.0), now) + 1 / RATE
        self._next[address] = min(due, now + BURST / RATE + MAX_DELAY)
        if len(self._next) > MAX_ADDRESSES:
            self._next.popitem(last=False)
        return max(self._next[address] - now - BURST / RATE, 0.0)
