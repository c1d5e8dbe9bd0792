"""Queue of large bodies: they are read, verified, decoded and stored one after the other.

A slot counts as many bytes as the body may have, so the smaller of the large bodies run together.
A process has one queue for pushes, by their senders' addresses, and one for answers to polls, by source.
"""

import asyncio
from collections import OrderedDict, deque

from processor.errors import Overloaded

LARGE_BODY = 1024 * 1024  # bytes; a larger body waits for a slot
MAX_TOGETHER = 32 * 1024 * 1024  # bytes of large bodies in progress at the same time
SLOT_TIMEOUT = 30.0  # seconds that a body waits for its slot


class LargeBodyQueue:
    """Gives out slots, owners in rotation: addresses or sources."""

    def __init__(self, together: int | None = None) -> None:
        """`together` is in bytes."""
        self._free = MAX_TOGETHER if together is None else together
        self._waiting: OrderedDict[str, deque[tuple[int, asyncio.Future[None]]]] = OrderedDict()

    async def acquire(self, size: int, owner: str) -> None:
        """Wait for a slot; Overloaded if there is none in time."""
        if size <= self._free and not self._waiting:
            self._free -= size
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append((size, slot))
        try:
            async with asyncio.timeout(SLOT_TIMEOUT):
                await slot
        except BaseException as error:
            if slot.done() and not slot.cancelled():
                self.release(size)  # we got it while we gave up
            self._next()  # the next ones may fit now
            if isinstance(error, TimeoutError):
                raise Overloaded(
                    "Too many large bodies are in progress; send this one again"
                ) from None
            raise

    def release(self, size: int) -> None:
        """Free a slot; the next bodies get theirs."""
        self._free += size
        self._next()

    def _next(self) -> None:
        while self._waiting:
            owner = next(iter(self._waiting))
            waiting = self._waiting[owner]
            while waiting and waiting[0][1].done():  # its body has given up
                waiting.popleft()
            if waiting and waiting[0][0] > self._free:
                return  # smaller bodies do not overtake, so that a large one is not delayed without end
            del self._waiting[owner]
            if waiting:
                size, slot = waiting.popleft()
                self._free -= size
                slot.set_result(None)
                if waiting:
                    self._waiting[owner] = waiting


class LargeBodySlot:
    """The slot of one body, if it needs one."""

    def __init__(self, queue: LargeBodyQueue, owner: str) -> None:
        self._queue = queue
        self._owner = owner
        self._size = 0
        self._released = False

    @property
    def held(self) -> bool:
        """Whether the body has its slot."""
        return self._size > 0

    async def acquire(self, size: int) -> None:
        """Wait for the slot; the body does not get it if it is released meanwhile."""
        await self._queue.acquire(size, self._owner)
        self._size = size
        if self._released:
            self.release()

    def release(self) -> None:
        """Free the slot, if the body has it; it needs none from now on."""
        self._released = True
        if self._size:
            self._queue.release(self._size)
            self._size = 0
