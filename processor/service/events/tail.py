"""One follower of the event log a process: it serves SSE listeners and callers that wait for a job."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from processor.errors import StoreUnavailable
from processor.event_types import COMPLETED, GROUP_COMPLETED
from processor.service.events.listener import Listener
from processor.service.runtime.outage import RETRY_INTERVAL, Outage
from processor.state_machine import uid_of
from processor.store import Store
from processor.store.events import LoggedEvent

BLOCK = 2.0  # seconds that one read of the log waits for events
MAX_EVENTS_READ = 100  # in one read
YIELD_EVERY = 10  # listeners or waiters that are woken before other tasks run
MAX_LISTENERS = 4096  # at a time
ENDS = frozenset({*COMPLETED, GROUP_COMPLETED})  # types of events that end a wait


class Tailer:
    """Follows the log while there is a listener or a waiter, and not otherwise."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[Listener] = set()
        self._waiters: dict[str, set[Waiter]] = {}  # by the uids of what they wait for
        self._follower: asyncio.Task[None] | None = None
        self._released = False
        self._outage = Outage("tailer")
        store.at_replacement.append(self.restart)

    @property
    def full(self) -> bool:
        """Whether there are as many listeners as there may be."""
        return len(self._listeners) >= MAX_LISTENERS

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """A listener for all events from now on; StoreUnavailable if the log cannot be read."""
        listener, full = Listener(), self.full
        self._listeners.add(listener)
        try:
            await self.follow()
            if self._released or full:  # others came at the same moment
                listener.end()
            yield listener
        finally:
            self._listeners.discard(listener)

    def waiter(self, uids: Sequence[str], *, first: bool = False) -> "Waiter":
        """Somebody who waits until all of these jobs and groups, or the first of them, end or one of
        them is deleted; to be entered, and followed by `follow`. The uid of a group follows a `g`.
        """
        names = tuple(dict.fromkeys(uids))
        return Waiter(self._waiters, names, 1 if first else len(names), over=self._released)

    async def follow(self) -> None:
        """Return once the log is followed from a position before now.

        StoreUnavailable if it cannot be read.
        """
        if self._following:
            return
        positions = await self._store.events.end()
        if not self._following:  # another caller may have started it during that call
            self._follower = asyncio.create_task(self._follow(positions))

    @property
    def released(self) -> bool:
        """Whether this process is shutting down: nobody waits any more."""
        return self._released

    def release(self) -> None:
        """End all listeners and waiters, also those to come: this process is shutting down."""
        self._released = True
        self._end_all()

    def restart(self) -> None:
        """End all listeners and waiters, so that they start over: the log may be another one."""
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None
        self._end_all()

    def _end_all(self) -> None:
        for listener in self._listeners:
            listener.end()
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.end()

    async def close(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    @property
    def _following(self) -> bool:
        return self._follower is not None and not self._follower.done()

    async def _follow(self, positions: list[str]) -> None:
        """Read and dispatch events; after an internal error no listener waits in vain."""
        deletions = self._store.events.start()  # all: old ones are of no record that is waited for
        try:
            while self._listeners or self._waiters:
                positions = await self._read_once(positions, deletions)
        except Exception:
            self._end_all()
            raise

    async def _read_once(self, positions: list[str], deletions: list[str]) -> list[str]:
        """Read once after these positions, and dispatch; the next positions in the log."""
        try:
            events, deleted = await self._store.events.follow(
                positions, deletions, MAX_EVENTS_READ, BLOCK
            )
        except StoreUnavailable as error:
            self._outage.began(error)
            await asyncio.sleep(RETRY_INTERVAL)
            return positions
        self._outage.ended()
        for uid in deleted:
            await self._wake(uid, Waiter.end)
        if not events:
            return positions
        await self._dispatch(events)
        return self._store.events.read_cursor(events[-1].cursor)

    async def _dispatch(self, events: Sequence[LoggedEvent]) -> None:
        """Wake waiters and listeners. One that comes during this reads these events in the log."""
        for event in events:
            if event.type in ENDS:
                await self._wake(uid_of(event.id), Waiter.count)
        for number, listener in enumerate(tuple(self._listeners), 1):
            listener.receive(events)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _wake(self, uid: str, tell: "Callable[[Waiter], None]") -> None:
        """Tell those who wait for this uid what happened to it, once."""
        waiters = self._waiters.get(uid, set())
        for number, waiter in enumerate(tuple(waiters), 1):
            waiters.discard(waiter)
            tell(waiter)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)


class Waiter:
    """Somebody who waits for so many of several jobs and groups to end: a future, and little more,
    since thousands may wait.
    """

    __slots__ = ("_all", "_left", "_timer", "_uids", "done")

    def __init__(
        self, waiters: "dict[str, set[Waiter]]", uids: Sequence[str], ends: int, *, over: bool
    ) -> None:
        """`waiters` are those of the tailer by uid; `over`: nobody waits any more."""
        self._all, self._uids, self._left = waiters, uids, ends
        self._timer: asyncio.TimerHandle | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if over:
            self.end()

    def __enter__(self) -> Self:
        """Begin to wait."""
        for uid in self._uids:
            self._all.setdefault(uid, set()).add(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""
        if self._timer:
            self._timer.cancel()
        for uid in self._uids:
            others = self._all.get(uid, set())
            others.discard(self)
            if not others:
                self._all.pop(uid, None)

    def end_at(self, time: float) -> None:
        """Wait no longer than until a time of the loop."""
        self._timer = asyncio.get_running_loop().call_at(time, self.end)

    def count(self) -> None:
        """Note that one has ended."""
        self._left -= 1
        if self._left <= 0:
            self.end()

    def end(self) -> None:
        """Wait no longer."""
        if not self.done.done():
            self.done.set_result(None)
