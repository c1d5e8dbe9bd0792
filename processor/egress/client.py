"""The one outbound HTTP client: pooled, bounded, and without redirects, cookies or proxies."""

import ssl
from functools import lru_cache
from importlib import metadata
from time import perf_counter
from types import TracebackType
from typing import Self, cast

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from processor.egress import responses
from processor.egress.compression import decompress
from processor.egress.connection_pool import make_pool
from processor.egress.failures import CONNECT_SECONDS, REQUEST_ERRORS, describe_failure
from processor.egress.guard import NetworkScope, authorize_url
from processor.egress.policy import Policy
from processor.egress.recording import HEAD_AT_MOST, BrokenResponseError, RecordedResponse
from processor.egress.resolver import SystemResolver
from processor.egress.salvage import salvage
from processor.model import HttpResponse

_HEADERS = 1000  # headers of a response
_URLS = 2048  # checked URLs in the cache; subscribers' URLs repeat


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
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Store the settings; `open` makes the pools. Default user agent: `Ringback/<version>`."""
        self.policy, self._user_agent = policy, user_agent or _ourselves()
        self._limit, self._tls = limit, tls
        self._resolver = resolver or SystemResolver()
        self._sessions: dict[NetworkScope, aiohttp.ClientSession] = {}
        self._route = lru_cache(_URLS)(self._find_route)

    async def open(self) -> None:
        """Make the pools, in the running loop."""
        self._sessions = {scope: self._session(scope) for scope in NetworkScope}

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

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
        timeout: float = 15.0,  # noqa: ASYNC109 - aiohttp's timer is cheaper than asyncio's
        read_limit: int = 65536,
        body_wanted: bool = True,
        partial: bool = False,
    ) -> HttpResponse:
        """Send one request; a response with any status is returned, redirects included.

        The body is cut at `read_limit` bytes, and empty unless `body_wanted`. `partial`: a body
        that breaks off is returned as far as it arrived. If the body is unwanted or may be partial,
        a status line alone is a response. `timeout` is in seconds for the whole request.
        Raises BlockedTarget or RequestFailed, and nothing else.
        """
        began = perf_counter()
        try:
            session, target = self._route(url, scope)
            pending = await session.request(
                method,
                target,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=_limits(timeout),
            )
            response = cast("RecordedResponse", pending)  # as the session's `response_class` says
            try:
                content = await (
                    responses.read(response, read_limit)
                    if body_wanted
                    else responses.drain(response)
                )
                status, fields = response.status, responses.headers(response)
            except REQUEST_ERRORS as error:
                raise BrokenResponseError(error, response.received) from error
            finally:
                response.handler.forget()
        except BrokenResponseError as broken:
            found = salvage(broken.received) if partial or not body_wanted else None
            if found is None:
                raise describe_failure(
                    broken.error, timeout
                ) from None  # aiohttp's texts quote secrets
            status, fields, content = found
        except REQUEST_ERRORS as error:
            raise describe_failure(error, timeout) from None  # see above
        if body_wanted and (encoding := fields.pop("content-encoding", "")):
            content = decompress(content, encoding, read_limit)
        return HttpResponse(
            status=status,
            headers=fields,
            body=content[:read_limit] if body_wanted else b"",
            seconds=perf_counter() - began,
        )

    def _find_route(self, url: str, scope: NetworkScope) -> tuple[aiohttp.ClientSession, URL]:
        written, scope = authorize_url(url, self.policy, scope)
        return self._sessions[scope], URL(written, encoded=True)

    def _session(self, scope: NetworkScope) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=make_pool(
                self.policy, scope, self._resolver, limit=self._limit, tls=self._tls
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "accept": "*/*",
                "accept-encoding": "identity",  # avoids decompression bombs
                "user-agent": self._user_agent,
            },
            auto_decompress=False,
            response_class=RecordedResponse,
            max_line_size=HEAD_AT_MOST,
            max_field_size=HEAD_AT_MOST,
            max_headers=_HEADERS,
            trust_env=False,  # with a proxy the guard would check only the proxy's address
        )


@lru_cache(64)
def _limits(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, connect=CONNECT_SECONDS)


def _ourselves() -> str:
    """Our user agent; a source tree that was never installed has no version."""
    try:
        return f"Ringback/{metadata.version('ringback')}"
    except metadata.PackageNotFoundError:
        return "Ringback"
