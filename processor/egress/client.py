"""The one outbound HTTP client: pooled, bounded, and without redirects, cookies or proxies."""

import asyncio
import ssl
from functools import cached_property, lru_cache
from importlib import metadata
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from processor.egress.compression import decompress
from processor.egress.connection_pool import ConnectionPool, MaySend, Origin
from processor.egress.connector import Connector
from processor.egress.failures import (
    REQUEST_ERRORS,
    BrokenOffError,
    BrokenResponseError,
    NoRoomError,
    TooLargeError,
    describe_failure,
)
from processor.egress.guard import NetworkScope, authorize_url
from processor.egress.policy import Policy
from processor.egress.request_head import request_head, request_target
from processor.egress.resolver import CachingResolver, Resolver, SystemResolver
from processor.egress.salvage import RawResponse, salvage
from processor.errors import Overloaded, RequestFailed
from processor.large_body_queue import LARGE_BODY, LargeBodyQueue, LargeBodySlot
from processor.model import HttpResponse

_ONCE = frozenset({"POST", "PATCH"})  # methods that are not idempotent
_SUCCESS = range(200, 300)
_TOLD = (TooLargeError, RequestFailed)  # what `cut` says also to who wants a whole body
_URLS = 2048  # checked URLs in the cache; subscribers' URLs repeat


class _Route(NamedTuple):
    """Where the requests to a URL go."""

    pool: ConnectionPool
    origin: Origin
    target: str  # see `request_target`


class Egress:
    """Sends requests on connections that the guard has checked, with one pool per network scope.

    Belongs to the event loop in which it is opened. `limit` is the number of connections per pool.
    `resolver` and `tls` replace the system's resolver and certificate authorities.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        user_agent: str = "",
        limit: int = 1000,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Store the settings; `open` makes the pools. Default user agent: `Ringback/<version>`."""
        self.policy, self._limit, self._given_tls = policy, limit, tls
        self._resolver = CachingResolver(resolver or SystemResolver())
        self._defaults = (
            ("accept", "*/*"),
            ("accept-encoding", "identity"),  # avoids decompression bombs
            ("user-agent", user_agent or _ourselves()),
        )
        self.large_answers = LargeBodyQueue()
        self._pools: dict[NetworkScope, ConnectionPool] = {}
        self._route = lru_cache(_URLS)(self._find_route)

    async def open(self) -> None:
        """Make the pools, in the running loop."""
        self._route.cache_clear()
        for scope in NetworkScope:
            connector = Connector(self.policy, scope, self._resolver, lambda: self._tls)
            self._pools[scope] = ConnectionPool(connector, self._limit)

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        for pool in self._pools.values():
            await pool.close()

    async def __aenter__(self) -> Self:
        """Open."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        body: bytes | None = None,
        scope: NetworkScope = NetworkScope.PUBLIC,
        timeout: float = 15.0,  # noqa: ASYNC109 - a connection's timer is cheaper than asyncio's
        read_limit: int = 65536,
        body_wanted: bool = True,
        partial: bool = False,
        repeatable: bool = False,
        may_send: MaySend | None = None,
        slot: LargeBodySlot | None = None,
    ) -> HttpResponse:
        """Send one request; a response with any status is returned, redirects included.

        The body is cut at `read_limit` bytes, and empty unless `body_wanted`; that of an error is
        empty too if it cannot be decompressed. `partial`: a body that breaks off is returned as far
        as it arrived, and `cut` says why; else RequestFailed, and for one without length too if TLS
        was not ended properly. If the body is unwanted or may be
        partial, a status line alone is a response, and so is a malformed head, without what
        follows it. `timeout` is in seconds for the whole request, `may_send` included; nothing is
        sent after it.
        `repeatable`: a POST or PATCH that may arrive twice, as others may (RFC 9110, 9.2.2); it is
        sent again if the server had closed the idle connection that it was sent on.
        `slot`: one of `large_answers`, which a body over 1 MiB waits for; the caller releases it.
        `may_send` is awaited right before the request is written, each time that it is.
        Raises BlockedTarget or RequestFailed, and nothing else but what `may_send` raises.
        """
        began = perf_counter()
        try:
            pool, origin, target = self._route(url, scope)
            head = request_head(method, target, headers, self._defaults, body)
            found = await pool.exchange(
                origin,
                head + body if body else head,
                timeout,
                read_limit if body_wanted else None,
                repeatable=repeatable or method not in _ONCE,
                may_send=may_send,
                slot=slot,
            )
        except BrokenResponseError as broken:
            readable = partial or not body_wanted
            salvaged = salvage(broken.received, broken.error) if readable else None
            if salvaged is None:
                raise describe_failure(broken.error, timeout) from None  # its text may be secret
            found = salvaged
        except REQUEST_ERRORS as error:
            raise describe_failure(error, timeout) from None  # see above
        if not body_wanted:
            return HttpResponse(found.status, found.headers, b"", perf_counter() - began)
        if slot:
            left = timeout - (perf_counter() - began)
            await _make_room(found, slot, read_limit, left)
        content, cut = _content(found, read_limit)
        failure = describe_failure(cut, timeout) if cut else None
        if failure and not (partial or isinstance(cut, _TOLD)):
            raise failure from None  # see above
        return HttpResponse(
            found.status, found.headers, content, perf_counter() - began, str(failure or "")
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when it is needed: to read the certificate authorities takes 20 ms."""
        if self._given_tls:
            return self._given_tls
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _find_route(self, url: str, scope: NetworkScope) -> _Route:
        parsed, scope = authorize_url(url, self.policy, scope)
        pool = self._pools[scope]
        origin = pool.origin(parsed.scheme, parsed.host, parsed.port)
        return _Route(pool, origin, request_target(parsed))


async def _make_room(found: RawResponse, slot: LargeBodySlot, limit: int, seconds: float) -> None:
    """Wait for room for a body that is large only once it is decompressed."""
    encoding = found.headers.get("content-encoding")
    if slot.held or not encoding:
        return
    try:
        begin, _ = decompress(found.body, encoding, LARGE_BODY + 1)
        if len(begin) > LARGE_BODY:
            async with asyncio.timeout(seconds):
                await slot.acquire(limit)
    except RequestFailed:
        return  # it is not decompressed
    except (TimeoutError, Overloaded):
        raise describe_failure(NoRoomError(), seconds) from None


def _content(found: RawResponse, limit: int) -> tuple[bytes, Exception | None]:
    """The body, decompressed, and why it is not whole; RequestFailed if that of a success cannot be
    decompressed. That of an error need not be: its status says enough.
    """
    content, whole = found.body, True
    if encoding := found.headers.pop("content-encoding", ""):
        try:
            content, whole = decompress(content, encoding, limit + 1)
        except RequestFailed as error:
            if found.status in _SUCCESS:
                raise
            return b"", error
    if len(content) > limit:
        return content[:limit], TooLargeError(limit)
    return content, found.cut or (None if whole else BrokenOffError())


def _ourselves() -> str:
    """Our user agent; a source tree that was never installed has no version."""
    try:
        return f"Ringback/{metadata.version('ringback')}"
    except metadata.PackageNotFoundError:
        return "Ringback"
