"""CloudEvents batches: events for one subscriber, collected for a moment and sent in one request."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from processor.formats import Event
from processor.model import Subscription

MAX_EVENTS = 100  # in one request
MAX_BYTES = 512 * 1024  # of one request, unless a single event is larger
MAX_DELAY = 0.005  # seconds from the first event to the request
ATTRIBUTES_SIZE = 2048  # bytes of an event's attributes, at most, besides its payload

Result = TypeVar("Result")
SendBatch = Callable[[Subscription, Sequence[Event]], Awaitable[Sequence[Result]]]


class Batcher(Generic[Result]):
    """Collects events into batches, one target each; each caller gets the result of its event."""

    def __init__(self, send: SendBatch[Result]) -> None:
        """`send` returns one result for each event, in order, or raises for all of them."""
        self._send = send
        self._open: dict[str, _Batch[Result]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def add(self, target: Subscription, event: Event) -> asyncio.Future[Result]:
        """Add an event to a batch; the future has the result once it was sent."""
        batch = self._batch_for(target, event)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        batch.events.append(event)
        batch.futures.append(future)
        batch.size += len(event.body) + ATTRIBUTES_SIZE
        if len(batch.events) == MAX_EVENTS:
            self._close(batch)
        return future

    def _batch_for(self, target: Subscription, event: Event) -> "_Batch[Result]":
        """The open batch, if it has room and the target has not changed; else a new one."""
        batch = self._open.get(target.id)
        if batch:
            full = batch.size + len(event.body) + ATTRIBUTES_SIZE > MAX_BYTES
            if not full and batch.target == target:
                return batch
            self._close(batch)
        batch = self._open[target.id] = _Batch(target)
        batch.timer = asyncio.get_running_loop().call_later(MAX_DELAY, self._close, batch)
        return batch

    def _close(self, batch: "_Batch[Result]") -> None:
        """Send a batch in a task of its own, since the first caller may be canceled."""
        if batch.timer:
            batch.timer.cancel()
        del self._open[batch.target.id]
        task = asyncio.create_task(self._send_batch(batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_batch(self, batch: "_Batch[Result]") -> None:
        try:
            results = await self._send(batch.target, batch.events)
        except Exception as error:  # noqa: BLE001 -- each caller handles it
            for future in batch.futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in zip(batch.futures, results, strict=True):
            if not future.done():  # its caller may have been canceled
                future.set_result(result)


class _Batch(Generic[Result]):
    """Events that are being collected for one target, and the callers that wait for each."""

    def __init__(self, target: Subscription) -> None:
        self.target = target
        self.events: list[Event] = []
        self.futures: list[asyncio.Future[Result]] = []
        self.size = 0
        self.timer: asyncio.TimerHandle | None = None
