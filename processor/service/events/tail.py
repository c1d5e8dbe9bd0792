"""One follower of the event log per process, which wakes whoever waits for an event."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from processor.errors import StoreUnavailable
from processor.event_types import COMPLETED
from processor.service.events.listener import Listener
from processor.service.runtime.process import PATIENCE, Outage
from processor.state_machine import uid_of
from processor.store import Store
from processor.store.events import Logged

BLOCK = 2.0  # seconds of one look at the log
MAX_EVENTS_READ = 100  # events that are told together
TOGETHER = 10  # listeners or waiters that are woken before others have their turn
LISTENERS = 4096  # at a time


class Tailer:
    """Follows the log while anybody listens, and not otherwise."""

    def __init__(self, store: Store) -> None:
        """Nobody listens yet."""
        self._store = store
        self._listeners: set[Listener] = set()
        self._finishing: dict[str, set[asyncio.Event]] = {}
        self._follower: asyncio.Task[None] | None = None
        self._released = False
        self._outage = Outage("tailer")
        store.at_replacement.append(self.restart)

    @property
    def crowded(self) -> bool:
        """Whether there is no place for one more listener."""
        return len(self._listeners) >= LISTENERS

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """Hear every event told from now on; StoreUnavailable if there is no log to follow."""
        listener, crowded = Listener(), self.crowded
        self._listeners.add(listener)
        try:
            await self._start()
            if self._released or crowded:  # too many came at the same moment
                listener.end()
            yield listener
        finally:
            self._listeners.discard(listener)

    @asynccontextmanager
    async def finishing(self, uid: str) -> AsyncIterator[asyncio.Event]:
        """Be woken when a job, known by its record's uid, completes from now on."""
        done = asyncio.Event()
        self._finishing.setdefault(uid, set()).add(done)
        try:
            await self._start()
            if self._released:
                done.set()
            yield done
        finally:
            waiting = self._finishing[uid]
            waiting.discard(done)
            if not waiting:
                del self._finishing[uid]

    def release(self) -> None:
        """Let go of all who listen or wait, now and from now on: this process is going away."""
        self._released = True
        self._let_go()

    def restart(self) -> None:
        """Send all who listen or wait to look again: the log may be another one now."""
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None
        self._let_go()

    def _let_go(self) -> None:
        for listener in self._listeners:
            listener.end()
        for waiting in self._finishing.values():
            for done in waiting:
                done.set()

    async def close(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    async def _start(self) -> None:
        """Return once the log is being followed from a place before now."""
        if self._following:
            return
        places = await self._store.events.end()
        if not self._following:  # somebody else may have started it meanwhile
            self._follower = asyncio.create_task(self._follow(places))

    @property
    def _following(self) -> bool:
        return self._follower is not None and not self._follower.done()

    async def _follow(self, places: list[str]) -> None:
        """Tell what is told while anybody listens; after a bug nobody waits for nothing."""
        try:
            while self._listeners or self._finishing:
                places = await self._look(places)
        except Exception:
            self._let_go()
            raise

    async def _look(self, places: list[str]) -> list[str]:
        """Look behind `places` once; the places to look behind next."""
        try:
            found = await self._store.events.follow(places, MAX_EVENTS_READ, BLOCK)
        except StoreUnavailable as error:
            self._outage.began(error)
            await asyncio.sleep(PATIENCE)
            return places
        self._outage.ended()
        if not found:
            return places
        await self._tell(found)
        return self._store.events.places(found[-1].cursor)

    @staticmethod
    async def _wake(waiting: Iterable[asyncio.Event]) -> None:
        for number, done in enumerate(tuple(waiting), 1):
            done.set()
            if number % TOGETHER == 0:
                await asyncio.sleep(0)

    async def _tell(self, found: Sequence[Logged]) -> None:
        """Wake whom it concerns. Who begins to listen meanwhile finds it in the log."""
        for event in found:
            if event.type in COMPLETED:
                await self._wake(self._finishing.get(uid_of(event.id), ()))
        for number, listener in enumerate(tuple(self._listeners), 1):
            listener.hear(found)
            if number % TOGETHER == 0:
                await asyncio.sleep(0)
