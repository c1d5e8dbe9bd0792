"""DNS resolution: the system's resolver, in our own threads, and a cache of its answers."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Protocol

from aiohappyeyeballs import AddrInfoType

# A name whose servers never answer blocks its thread for many seconds. The loop's own pool (four
# threads under uvloop) would let a few such names stop all deliveries.
_THREADS = 32
_REMEMBERED_SECONDS = 10.0
_NAMES_AT_MOST = 4096  # remembered


class Resolver(Protocol):
    """Resolves names; the answers have the shape of `socket.getaddrinfo`."""

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """The addresses of a name, the best first; raises OSError."""

    async def close(self) -> None:
        """Release what it holds."""


class SystemResolver:
    """The system's getaddrinfo, in a thread pool."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns")

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Resolve a name; raises OSError."""
        ask = partial(
            socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        return await asyncio.get_running_loop().run_in_executor(self._pool, ask)

    async def close(self) -> None:
        """Release the threads without waiting for slow names."""
        self._pool.shutdown(wait=False, cancel_futures=True)


Lookup = asyncio.Task[Sequence[AddrInfoType]]


class CachingResolver:
    """Remembers answers for ten seconds; callers that ask for the same name meanwhile wait together."""

    def __init__(self, inner: Resolver) -> None:
        self._inner = inner
        self._lookups: dict[tuple[str, int], tuple[float, Lookup]] = {}

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Resolve a name; raises OSError."""
        began, lookup = self._lookups.get((host, port), (0.0, None))
        if lookup is None or began + _REMEMBERED_SECONDS < monotonic():
            lookup = asyncio.create_task(self._inner.resolve(host, port))
            self._lookups[host, port] = monotonic(), lookup
            lookup.add_done_callback(partial(self._done, (host, port)))
            if len(self._lookups) > _NAMES_AT_MOST:
                self._forget(next(iter(self._lookups)))
        return await asyncio.shield(lookup)  # one caller that gives up does not end it for others

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()

    def _done(self, name: tuple[str, int], lookup: Lookup) -> None:
        """Forget a failure, also one that no caller waits for any more."""
        if lookup.cancelled() or lookup.exception():
            self._forget(name)

    def _forget(self, name: tuple[str, int]) -> None:
        self._lookups.pop(name, None)
