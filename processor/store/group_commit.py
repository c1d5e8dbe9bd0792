"""Group commit: while one write is in flight, the next items are collected, and written together.

Load makes batches larger, not queues longer; a single item does not wait. If a few came during a
write, the next one begins after a rest of the same length, since one write of many items costs much
less than many writes. A group of thousands is written in slices, so that every batch has room for
the items of other callers.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from processor.errors import StoreUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_ITEMS = 500  # in one write
MAX_BYTES = 4 * 1024 * 1024  # in one write, unless a single item has more
LONGEST_REST = 0.005  # seconds from one write to the next
MANY = 100  # groups that wait: one write is large enough without a rest
SLICE = 100  # items of one large group in a write; all large groups have twice as many


class GroupCommit(Generic[Item, Result]):
    """Collects items for `write`, and returns each caller the results for its own."""

    def __init__(
        self,
        write: Callable[[list[Item]], Awaitable[list[Result]]],
        size: Callable[[Item], int] = lambda _: 0,
    ) -> None:
        """`write` returns one result per item, in order, or fails for all of them.

        `size` returns about how many bytes an item has.
        """
        self._write = write
        self._size = size
        self._small: deque[_Group[Item, Result]] = deque()
        self._large: deque[_Group[Item, Result]] = deque()  # slices are written in turn
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """Write an item with the next batch; returns its result."""
        return (await self._enqueued([item]))[0]

    async def add_all(self, items: Sequence[Item]) -> list[Result]:
        """Write items with the next batches; returns their results, or raises the first error."""
        return await self._enqueued(items) if items else []

    def _enqueued(self, items: Sequence[Item]) -> asyncio.Future[list[Result]]:
        """The future results of items that the next batches will write."""
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        future = self._writer.get_loop().create_future()  # asking for the running loop is a syscall
        group: _Group[Item, Result] = _Group(items, future)  # a subscripted class takes longer
        (self._small if len(items) <= SLICE else self._large).append(group)
        return future

    async def _drain(self) -> None:
        try:
            while batch := self._next():
                began = time.monotonic()
                await self._write_one(batch)
                if 0 < len(self._small) < MANY and not self._large:
                    await asyncio.sleep(min(time.monotonic() - began, LONGEST_REST))
        finally:
            self._writer = None

    def _next(self) -> "list[tuple[_Group[Item, Result], Sequence[Item]]]":
        """The next batch: slices of large groups first, so that they never starve."""
        batch: list[tuple[_Group[Item, Result], Sequence[Item]]] = []
        count, size = 0, 0
        for _ in range(min(2, len(self._large))):
            group = self._large.popleft()
            items, more = group.take(SLICE, MAX_BYTES // 4, self._size)
            batch.append((group, items))
            count, size = count + len(items), size + more
            if group.left:
                self._large.append(group)
        while self._small:
            group = self._small[0]
            count, size = count + len(group.items), size + sum(map(self._size, group.items))
            if batch and (count > MAX_ITEMS or size > MAX_BYTES):
                break
            batch.append((self._small.popleft(), group.items))
        return batch

    async def _write_one(self, batch: "list[tuple[_Group[Item, Result], Sequence[Item]]]") -> None:
        try:
            results = await self._write([item for _, items in batch for item in items])
        except Exception as error:  # noqa: BLE001 -- it is every waiter's own to handle
            failed = {group: None for group, _ in batch}
            if isinstance(error, StoreUnavailable):  # the groups behind it have waited as long
                failed |= dict.fromkeys([*self._small, *self._large])
            self._small = deque(group for group in self._small if group not in failed)
            self._large = deque(group for group in self._large if group not in failed)
            for group in failed:  # callers write a large group again as a whole
                group.fail(error)
            return
        start = 0
        for group, items in batch:
            end = start + len(items)
            group.add_results(results[start:end])
            start = end


class _Group(Generic[Item, Result]):
    """The items of one caller."""

    taken = 0  # of the items of a large group

    def __init__(self, items: Sequence[Item], future: asyncio.Future[list[Result]]) -> None:
        """`future` gets all results."""
        self.items = items
        self.future = future
        self._results: list[Result] = []

    @property
    def left(self) -> int:
        """How many items are not taken yet."""
        return len(self.items) - self.taken

    def take(self, count: int, size: int, size_of: Callable[[Item], int]) -> tuple[list[Item], int]:
        """The next items, and their bytes."""
        taken: list[Item] = []
        total = 0
        for item in self.items[self.taken : self.taken + count]:
            more = size_of(item)
            if taken and total + more > size:
                break
            taken.append(item)
            total += more
        self.taken += len(taken)
        return taken, total

    def add_results(self, results: Sequence[Result]) -> None:
        """Add results in order; after the last one the caller gets them."""
        self._results += results
        if len(self._results) == len(self.items) and not self.future.done():
            self.future.set_result(self._results)  # a caller may have been cancelled

    def fail(self, error: Exception) -> None:
        """Raise the error in the caller."""
        if not self.future.done():
            self.future.set_exception(error)
