"""Name resolution: the system's, in threads of our own, with every answer judged."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

from processor.egress.guard import NetworkScope, check_address
from processor.egress.policy import Policy

# A name whose servers never answer holds its thread for many seconds. The loop's own pool (four
# threads under uvloop) would let a handful of such names stop everybody's deliveries.
_THREADS = 32


class SystemResolver(AbstractResolver):
    """What the system's getaddrinfo says."""

    def __init__(self) -> None:
        """Threads start as they are needed."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up; raises OSError."""
        ask = partial(
            socket.getaddrinfo,
            host,
            port,
            family=family,
            type=socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,
        )
        infos = await asyncio.get_running_loop().run_in_executor(self._pool, ask)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in infos
        ]

    async def close(self) -> None:
        """Let the threads go without waiting for slow names."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """A resolver that gives no answer when any address in it is denied.

    One bad address among good ones means a name that somebody is playing with.
    """

    def __init__(self, inner: AbstractResolver, policy: Policy, scope: NetworkScope) -> None:
        """Ask `inner`, then judge."""
        self._inner, self._policy, self._scope = inner, policy, scope

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up; raises OSError, or DeniedAddressError for the whole answer."""
        answers = await self._inner.resolve(host, port, family)
        if not answers:
            raise OSError("the resolver gave no address")
        for answer in answers:
            check_address(answer["host"], self._policy, self._scope)
        return answers

    async def close(self) -> None:
        """Close the resolver that is asked."""
        await self._inner.close()
