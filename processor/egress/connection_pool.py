"""The connection pools: every socket address is judged as it is connected to.

This is the check that counts. It sees the final address: for names, for literal addresses, for
each one that a race of IPv4 and IPv6 tries, and for every new connection.
"""

import asyncio
import socket
import ssl
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver

from processor.egress.guard import NetworkScope, check_address
from processor.egress.policy import Policy
from processor.egress.recording import RecordingHandler
from processor.egress.resolver import GuardedResolver

_KEEPALIVE_SECONDS = 4.0  # many servers close at 5; a POST into a closing socket fails
_DNS_SECONDS = 10  # how long an answer is reused


def make_pool(
    policy: Policy,
    scope: NetworkScope,
    resolver: AbstractResolver,
    *,
    limit: int,
    tls: ssl.SSLContext | None,
) -> aiohttp.TCPConnector:
    """Make a pool of at most `limit` connections that lead only where this reach may go."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(resolver, policy, scope),
        socket_factory=partial(_socket, policy, scope),
        ttl_dns_cache=_DNS_SECONDS,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        limit=limit,
        ssl=tls or True,
    )
    # No public way makes connections of a class of ours; the odd servers of the tests need it.
    connector._factory = partial(RecordingHandler, loop=asyncio.get_running_loop())  # type: ignore[assignment] # noqa: SLF001
    return connector


def _socket(policy: Policy, scope: NetworkScope, info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, address = info
    check_address(address[0], policy, scope)
    return socket.socket(family, kind, protocol)
