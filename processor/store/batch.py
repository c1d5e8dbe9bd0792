"""Natural batching (group commit): while one round trip is under way, the next items gather.

Load makes batches bigger, not queues longer; a lone item waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from processor.errors import StoreUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_MOST = 500  # items in one write


class Batch(Generic[Item, Result]):
    """Gathers items for `write`, and gives each caller the result of its own."""

    def __init__(self, write: Callable[[list[Item]], Awaitable[list[Result]]]) -> None:
        """`write` answers with one result an item, in order, or fails for all of them."""
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._writer: asyncio.Task[None] | None = None

    def add(self, item: Item) -> asyncio.Future[Result]:
        """Hand an item over; the future is done when it is written."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        return future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:AT_MOST], self._waiting[AT_MOST:]
                await self._write_one(batch)
        finally:
            self._writer = None

    async def _write_one(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 -- it is every waiter's own to handle
            if isinstance(error, StoreUnavailable):  # what waited behind it has waited as long
                batch, self._waiting = batch + self._waiting, []
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # a caller may have gone away
                future.set_result(result)
