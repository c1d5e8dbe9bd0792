"""What one subscriber gets within a moment, gathered into one request."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from processor.formats import Event
from processor.model import Subscription

AT_MOST = 100  # events in one request
BYTES_AT_MOST = 512 * 1024  # of one request, unless a single event has more
WITHIN = 0.005  # seconds from the first event to the request
FRAME = 2048  # bytes that an event's attributes take at most, beside its payload

Result = TypeVar("Result")
Send = Callable[[Subscription, Sequence[Event]], Awaitable[Sequence[Result]]]


class Gatherer(Generic[Result]):
    """Hands events on in bundles, one target each, and gives each caller the result of its own."""

    def __init__(self, send: Send[Result]) -> None:
        """`send` answers with one result an event, in order, or fails for all of them."""
        self._send = send
        self._open: dict[str, _Bundle[Result]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def add(self, target: Subscription, event: Event) -> asyncio.Future[Result]:
        """Hand an event over; the future is done when it was sent."""
        bundle = self._bundle(target, event)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        bundle.events.append(event)
        bundle.futures.append(future)
        bundle.size += len(event.body) + FRAME
        if len(bundle.events) == AT_MOST:
            self._close(bundle)
        return future

    def _bundle(self, target: Subscription, event: Event) -> "_Bundle[Result]":
        """The open bundle, if it has room and the target is still the same; else a new one."""
        bundle = self._open.get(target.id)
        if bundle:
            full = bundle.size + len(event.body) + FRAME > BYTES_AT_MOST
            if not full and bundle.target == target:
                return bundle
            self._close(bundle)
        bundle = self._open[target.id] = _Bundle(target)
        bundle.timer = asyncio.get_running_loop().call_later(WITHIN, self._close, bundle)
        return bundle

    def _close(self, bundle: "_Bundle[Result]") -> None:
        """Send a bundle, in a task of its own: its first caller may go away."""
        if bundle.timer:
            bundle.timer.cancel()
        del self._open[bundle.target.id]
        task = asyncio.create_task(self._carry(bundle))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _carry(self, bundle: "_Bundle[Result]") -> None:
        try:
            results = await self._send(bundle.target, bundle.events)
        except Exception as error:  # noqa: BLE001 -- it is every caller's own to handle
            for future in bundle.futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in zip(bundle.futures, results, strict=True):
            if not future.done():  # a caller may have gone away
                future.set_result(result)


class _Bundle(Generic[Result]):
    """Events on their way to one target, and who waits for each."""

    def __init__(self, target: Subscription) -> None:
        self.target = target
        self.events: list[Event] = []
        self.futures: list[asyncio.Future[Result]] = []
        self.size = 0
        self.timer: asyncio.TimerHandle | None = None
