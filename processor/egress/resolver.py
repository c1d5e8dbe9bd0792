"""DNS resolution: the system's resolver in our own threads, with every address checked."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

from processor.egress.guard import NetworkScope, check_address
from processor.egress.policy import Policy

# A name whose servers never answer blocks its thread for many seconds. The loop's own pool (four
# threads under uvloop) would let a few such names stop all deliveries.
_THREADS = 32


class SystemResolver(AbstractResolver):
    """The system's getaddrinfo, in a thread pool."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name; raises OSError."""
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
        """Release the threads without waiting for slow names."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """A resolver that refuses a name if any of its addresses is denied.

    One denied address among allowed ones is a sign of an attack.
    """

    def __init__(self, inner: AbstractResolver, policy: Policy, scope: NetworkScope) -> None:
        self._inner, self._policy, self._scope = inner, policy, scope

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name; raises OSError, or DeniedAddressError if one address is denied."""
        answers = await self._inner.resolve(host, port, family)
        if not answers:
            raise OSError("the resolver gave no address")
        for answer in answers:
            check_address(answer["host"], self._policy, self._scope)
        return answers

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()
