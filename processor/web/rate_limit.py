"""Rate limit of calls: those without a key, and those that read a lot, leave time for pushes.

Everything runs on one event loop: a push is answered late when thousands of other calls are ready
at the same moment. So few big reads run side by side, and one address gets only so many answers a
second that need no key.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from processor.errors import Overloaded

BIG_READS = 2  # at once; each is read in pieces
WAIT = 10.0  # seconds that one more waits for its turn

RATE = 200.0  # answers a second to one address without a key
BURST = 100  # of them at once
LONGEST_DELAY = 5.0  # seconds that one such answer is held back
ADDRESSES = 1000  # remembered; the one that called longest ago is forgotten

Handler = Callable[[Request], Awaitable[Response]]


class LargeReadLimit:
    """Lets few calls read at once; the others wait for their turn."""

    def __init__(self) -> None:
        """Nobody reads yet."""
        self._places = asyncio.Semaphore(BIG_READS)

    def limit(self, handler: Handler) -> Handler:
        """The same handler, once it is its turn; Overloaded if it does not get one in time."""

        async def answer(request: Request) -> Response:
            try:
                async with asyncio.timeout(WAIT):
                    await self._places.acquire()
            except TimeoutError:
                raise Overloaded("Too many lists are being read at once; try again") from None
            try:
                return await handler(request)
            finally:
                self._places.release()

        return answer


class KeylessRateLimit:
    """Spaces out answers that need no key, address by address."""

    def __init__(self) -> None:
        """Nobody has called yet."""
        self._next: OrderedDict[str, float] = OrderedDict()  # address → when its burst is whole

    async def turn(self, scope: Scope) -> None:
        """Return when the caller's address may have one more such answer."""
        client = scope.get("client")
        wait = self.delay(client[0] if client else "", asyncio.get_running_loop().time())
        if wait > 0:
            await asyncio.sleep(wait)

    def delay(self, address: str, now: float) -> float:
        """Seconds to hold back an answer at `now`, which counts from then on."""
        due = max(self._next.pop(address, 0.0), now) + 1 / RATE
        self._next[address] = min(due, now + BURST / RATE + LONGEST_DELAY)
        if len(self._next) > ADDRESSES:
            self._next.popitem(last=False)
        return max(self._next[address] - now - BURST / RATE, 0.0)
