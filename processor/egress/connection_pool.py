"""The connection pools: every socket address is checked right before connecting (SSRF).

This is the decisive check, because it sees the final address: of names, of literal addresses, of
each address that Happy Eyeballs (IPv4 and IPv6) tries, and of every new connection.
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

_KEEPALIVE_SECONDS = 4.0  # many servers close idle connections after 5; a POST would fail then
_DNS_SECONDS = 10  # seconds that a DNS answer is cached


def make_pool(
    policy: Policy,
    scope: NetworkScope,
    resolver: AbstractResolver,
    *,
    limit: int,
    tls: ssl.SSLContext | None,
) -> aiohttp.TCPConnector:
    """Make a pool of at most `limit` connections, which connect only within this scope."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(resolver, policy, scope),
        socket_factory=partial(_socket, policy, scope),
        ttl_dns_cache=_DNS_SECONDS,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        limit=limit,
        ssl=tls or True,
    )
    # aiohttp has no public way to set the connection class.
    connector._factory = partial(RecordingHandler, loop=asyncio.get_running_loop())  # type: ignore[assignment] # noqa: SLF001
    return connector


def _socket(policy: Policy, scope: NetworkScope, info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, address = info
    check_address(address[0], policy, scope)
    return socket.socket(family, kind, protocol)
