"""Opens connections: DNS, the guard, IPv4 and IPv6 in a race (Happy Eyeballs, RFC 8305), and TLS.

The guard (SSRF) checks all addresses of a name: one denied among allowed ones is a sign of an attack.
It checks each address again where its socket is made. That is the decisive check, because it sees
the final address: of names, of literal addresses, of each that the race tries.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection

from processor.egress.addresses import Address
from processor.egress.failures import HandshakeError, NameNotFoundError
from processor.egress.guard import NetworkScope, check_address
from processor.egress.policy import Policy
from processor.egress.resolver import Resolver

_STAGGER_SECONDS = 0.25  # after which the next address is tried as well
_Made = TypeVar("_Made", bound=asyncio.Protocol)


class Connector:
    """Connects within one network scope. `tls` gives the context that verifies certificates."""

    def __init__(
        self,
        policy: Policy,
        scope: NetworkScope,
        resolver: Resolver,
        tls: Callable[[], ssl.SSLContext],
    ) -> None:
        self._policy, self._scope = policy, scope
        self._resolver, self._tls = resolver, tls

    async def connect(
        self, host: str | Address, port: int, make: Callable[[], _Made], *, secure: bool
    ) -> _Made:
        """Connect, and return the protocol that `make` made.

        Raises OSError (DeniedAddressError is one), ValueError or RuntimeError.
        """
        sock = await start_connection(
            await self._resolve(host, port),
            happy_eyeballs_delay=_STAGGER_SECONDS,
            socket_factory=self._socket,
        )
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(
                make,
                sock=sock,
                ssl=self._tls() if secure else None,
                server_hostname=str(host) if secure else None,
            )
        except BaseException as error:
            sock.close()
            if _is_handshake_failure(error):
                raise HandshakeError from error
            raise
        return protocol

    async def _resolve(self, host: str | Address, port: int) -> Sequence[AddrInfoType]:
        if not isinstance(host, str):
            numeric = socket.AI_NUMERICHOST  # asks no server
            return socket.getaddrinfo(str(host), port, type=socket.SOCK_STREAM, flags=numeric)
        try:
            found = await self._resolver.resolve(host, port)
        except OSError as error:
            raise NameNotFoundError from error
        if not found:
            raise NameNotFoundError
        for info in found:
            self._check(info)
        return found

    def _socket(self, info: AddrInfoType) -> socket.socket:
        self._check(info)
        return socket.socket(*info[:3])

    def _check(self, info: AddrInfoType) -> None:
        check_address(str(info[4][0]), self._policy, self._scope)


def _is_handshake_failure(error: BaseException) -> bool:
    """Whether a handshake failed in a way that has no better name; a mere end has no errno."""
    if isinstance(error, ConnectionError):
        return error.errno is None
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.CertificateError)
