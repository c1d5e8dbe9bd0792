"""Places for requests: so many may run at once, the others wait in the order in which they came.

Every request takes two, so one that is free is taken without a coroutine: asyncio's semaphore needs one.
"""

import asyncio
from collections import deque


class Places:
    """So many places. One that is left goes to the request that waits longest: none waits while
    there are `free` ones.
    """

    def __init__(self, count: int) -> None:
        self.free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> None:
        """Take a free place."""
        self.free -= 1

    async def wait(self) -> None:
        """Take a place, as soon as there is one."""
        if self.free:
            self.take()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it got its place just before
                self.leave()
            raise

    def leave(self) -> None:
        """Leave a place."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                turn.set_result(None)
                return
        self.free += 1
