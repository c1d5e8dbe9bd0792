"""DNS resolution: the system's resolver, in our own threads, and a cache of its answers.

A name whose servers never answer blocks its thread for many seconds, and a hostile subscriber has
many such names. So a name is looked up once at a time, a domain has few lookups at a time, and names
that resolved before have threads of their own, and their old address if even those are taken.
"""

import asyncio
import math
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from time import monotonic
from typing import Protocol
from weakref import WeakValueDictionary

from aiohappyeyeballs import AddrInfoType

_THREADS = 32  # for names that resolved in the last hour, and as many for all others
_PER_DOMAIN = 4  # of them
_FRESH_SECONDS = 10.0
_KNOWN_SECONDS = 3600.0
_PATIENCE_SECONDS = 1.0  # after which a name that resolved in the last hour has its old address
_NAMES_AT_MOST = 4096  # remembered

Name = tuple[str, int]  # host and port
Answer = Sequence[AddrInfoType]


class Resolver(Protocol):
    """Resolves names; the answers have the shape of `socket.getaddrinfo`."""

    async def resolve(self, host: str, port: int) -> Answer:
        """The addresses of a name, the best first; raises OSError."""


class SystemResolver:
    """The system's getaddrinfo, in a thread for each lookup. The caller limits how many there are.

    An executor's threads would keep the process from ending until the slowest name has failed.
    """

    async def resolve(self, host: str, port: int) -> Answer:
        """Resolve a name; raises OSError."""
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()  # from here on it cannot be canceled
        Thread(target=_ask_system, args=(future, host, port), name="dns", daemon=True).start()
        return await asyncio.wrap_future(future)


def _ask_system(future: "Future[Answer]", host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except BaseException as error:  # noqa: BLE001 - whoever waits gets it
        future.set_exception(error)
    else:
        future.set_result(found)


@dataclass(eq=False, slots=True)
class _Lookup:
    """A lookup that runs, or waits for a thread."""

    task: asyncio.Task[Answer] = field(init=False)
    waiting: int = 0  # callers
    running: bool = False


class CachingResolver:
    """Remembers answers for ten seconds; callers that ask for the same name meanwhile wait together.

    A lookup that is still waiting for a thread ends with its last caller.
    """

    def __init__(self, inner: Resolver) -> None:
        self._inner = inner
        self._answers: dict[Name, tuple[float, Answer]] = {}  # with their time, the oldest first
        self._lookups: dict[Name, _Lookup] = {}
        self._threads = {known: asyncio.Semaphore(_THREADS) for known in (True, False)}
        self._domains: WeakValueDictionary[tuple[bool, str], asyncio.Semaphore]
        self._domains = WeakValueDictionary()

    async def resolve(self, host: str, port: int) -> Answer:
        """Resolve a name; raises OSError."""
        name = host, port
        answered, old = self._answers.get(name, (-math.inf, ()))
        age = monotonic() - answered
        if age < _FRESH_SECONDS:
            return old
        known = age < _KNOWN_SECONDS
        lookup = self._lookups.get(name) or self._begin(name, known=known)
        lookup.waiting += 1
        try:
            await asyncio.wait([lookup.task], timeout=_PATIENCE_SECONDS if known else None)
        finally:
            lookup.waiting -= 1
            if not lookup.waiting and not lookup.running:
                lookup.task.cancel()
                del self._lookups[name]
        return lookup.task.result() if lookup.task.done() else old

    def _begin(self, name: Name, *, known: bool) -> _Lookup:
        lookup = self._lookups[name] = _Lookup()
        lookup.task = asyncio.create_task(self._look_up(name, lookup, known=known))
        lookup.task.add_done_callback(_retrieve)
        return lookup

    async def _look_up(self, name: Name, lookup: _Lookup, *, known: bool) -> Answer:
        """Wait for a thread, and resolve a name."""
        domain = self._domains.setdefault((known, _domain(name[0])), asyncio.Semaphore(_PER_DOMAIN))
        async with domain, self._threads[known]:
            lookup.running = True
            try:
                found = await self._inner.resolve(*name)
            finally:
                del self._lookups[name]
                self._answers.pop(name, None)
        self._answers[name] = monotonic(), found
        if len(self._answers) > _NAMES_AT_MOST:
            del self._answers[next(iter(self._answers))]
        return found


def _domain(host: str) -> str:
    """The last two labels: about what one owner registers. All names below `co.uk` share theirs."""
    return ".".join(host.split(".")[-2:])


def _retrieve(task: asyncio.Task[Answer]) -> None:
    """Look at a failure, also one that no caller waits for any more; asyncio would report it."""
    if not task.cancelled():
        task.exception()
