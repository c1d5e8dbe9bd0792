"""Natural batching (group commit): while one round trip is under way, the next items gather.

Load makes batches bigger, not queues longer; a lone item waits for nobody. What was handed over
together in thousands is written in slices, so that every batch has room for what others hand over.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from processor.errors import StoreUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_MOST = 500  # items in one write
BYTES_AT_MOST = 4 * 1024 * 1024  # of them together, unless a single item has more
SLICE = 100  # items of one large group in one write, and of all large groups twice as many


class GroupCommit(Generic[Item, Result]):
    """Gathers items for `write`, and gives each caller the results of its own."""

    def __init__(
        self,
        write: Callable[[list[Item]], Awaitable[list[Result]]],
        size: Callable[[Item], int] = lambda _: 0,
    ) -> None:
        """`write` answers with one result an item, in order, or fails for all of them.

        `size` gives an item's bytes, about.
        """
        self._write = write
        self._size = size
        self._small: deque[_Group[Item, Result]] = deque()
        self._large: deque[_Group[Item, Result]] = deque()  # each gets its slice in turn
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """Hand an item over; its result, once it is written."""
        return (await self.add_all([item]))[0]

    async def add_all(self, items: Sequence[Item]) -> list[Result]:
        """Hand items over; their results, once all are written. Fails with the first that does."""
        if not items:
            return []
        group = _Group[Item, Result](items)
        (self._small if len(items) <= SLICE else self._large).append(group)
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        return await group.future

    async def _drain(self) -> None:
        try:
            while batch := self._next():
                await self._write_one(batch)
        finally:
            self._writer = None

    def _next(self) -> "list[tuple[_Group[Item, Result], Sequence[Item]]]":
        """What goes into the next write: slices of large groups first, so that they get on."""
        batch: list[tuple[_Group[Item, Result], Sequence[Item]]] = []
        count, size = 0, 0
        for _ in range(min(2, len(self._large))):
            group = self._large.popleft()
            items, more = group.take(SLICE, BYTES_AT_MOST // 4, self._size)
            batch.append((group, items))
            count, size = count + len(items), size + more
            if group.left:
                self._large.append(group)
        while self._small and (not batch or count + len(self._small[0].items) <= AT_MOST):
            more = sum(map(self._size, self._small[0].items))
            if batch and size + more > BYTES_AT_MOST:
                break
            group = self._small.popleft()
            batch.append((group, group.items))
            count, size = count + len(group.items), size + more
        return batch

    async def _write_one(self, batch: "list[tuple[_Group[Item, Result], Sequence[Item]]]") -> None:
        try:
            results = await self._write([item for _, items in batch for item in items])
        except Exception as error:  # noqa: BLE001 -- it is every waiter's own to handle
            failed = {group: None for group, _ in batch}
            if isinstance(error, StoreUnavailable):  # what waited behind it has waited as long
                failed |= dict.fromkeys([*self._small, *self._large])
            self._small = deque(one for one in self._small if one not in failed)
            self._large = deque(one for one in self._large if one not in failed)
            for group in failed:  # a large one comes again whole
                group.fail(error)
            return
        place = 0
        for group, items in batch:
            group.give(results[place : place + len(items)])
            place += len(items)


class _Group(Generic[Item, Result]):
    """What one caller handed over."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.left = len(items)  # not taken yet
        self.future: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._results: list[Result] = []

    def take(self, count: int, size: int, weigh: Callable[[Item], int]) -> tuple[list[Item], int]:
        """The next items, and their bytes."""
        start = len(self.items) - self.left
        taken: list[Item] = []
        total = 0
        for item in self.items[start : start + count]:
            more = weigh(item)
            if taken and total + more > size:
                break
            taken.append(item)
            total += more
        self.left -= len(taken)
        return taken, total

    def give(self, results: Sequence[Result]) -> None:
        """Take results in order; with the last the caller has them."""
        self._results += results
        if len(self._results) == len(self.items) and not self.future.done():
            self.future.set_result(self._results)  # a caller may have gone away

    def fail(self, error: Exception) -> None:
        """Give the caller the error."""
        if not self.future.done():
            self.future.set_exception(error)
