"""Large bodies are taken in turns: read, verified, decoded and queued one behind the other.

A turn is for as many bytes as the body may have, so small ones among the large go together.
"""

import asyncio
from collections import OrderedDict, deque

from processor.errors import Overloaded

LARGE_BODY = 1024 * 1024  # bytes; what goes beyond waits for a turn
LARGE_TOGETHER = 32 * 1024 * 1024  # bytes of large bodies under way at the same time
TURN_TIMEOUT = 30.0  # seconds that a body waits for its turn


class LargeBodyQueue:
    """Hands out turns, addresses in rotation."""

    def __init__(self, together: int | None = None) -> None:
        """Start with nothing under way; `together` in bytes."""
        self._free = LARGE_TOGETHER if together is None else together
        self._waiting: OrderedDict[str, deque[tuple[int, asyncio.Future[None]]]] = OrderedDict()

    async def take(self, size: int, address: str) -> None:
        """Return when it is this body's turn; Overloaded if it does not come in time."""
        if size <= self._free and not self._waiting:
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append((size, turn))
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(size)  # it came while we left
            self._go_on()  # those behind it may fit
            if isinstance(error, TimeoutError):
                raise Overloaded(
                    "Too many large pushes are under way; send this one again"
                ) from None
            raise

    def give_back(self, size: int) -> None:
        """End a turn; the next ones begin."""
        self._free += size
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting:
            address = next(iter(self._waiting))
            waiting = self._waiting[address]
            while waiting and waiting[0][1].done():  # its body gave up
                waiting.popleft()
            if waiting and waiting[0][0] > self._free:
                return  # first come: smaller ones behind do not overtake for ever
            del self._waiting[address]
            if waiting:
                size, turn = waiting.popleft()
                self._free -= size
                turn.set_result(None)
                if waiting:
                    self._waiting[address] = waiting


class LargeBodySlot:
    """The turn of one body, if it ever needs one."""

    def __init__(self, turns: LargeBodyQueue, address: str) -> None:
        """Wait among those of an address."""
        self._turns = turns
        self._address = address
        self._size = 0

    @property
    def taken(self) -> bool:
        """Whether it has come."""
        return self._size > 0

    async def take(self, size: int) -> None:
        """Wait for it."""
        await self._turns.take(size, self._address)
        self._size = size

    def give_back(self) -> None:
        """End it, if it had begun."""
        if self._size:
            self._turns.give_back(self._size)
            self._size = 0
