"""Reads a response: a bounded body, and headers that can be stored as text."""

import asyncio
from contextlib import suppress

import aiohttp

from processor.egress.failures import REQUEST_ERRORS

_DRAINED = 4096  # bytes; with a longer unwanted body the connection is closed
_DRAIN_TIMEOUT = 1.0  # seconds; with a slower one too, so that it does not occupy a slot


async def read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read at most `limit` bytes; the connection is reused only if that was the whole body."""
    content = response.content
    try:
        body = await content.readany()
        while len(body) <= limit and not content.at_eof():
            body += await content.readany()
    except BaseException:
        response.close()
        raise
    if not content.at_eof():
        response.close()
    return body[:limit]


async def drain(response: aiohttp.ClientResponse) -> bytes:
    """Skip an unwanted body, so that the connection can be reused; returns b"".

    A body that breaks off or hangs is ignored: the status is known already.
    """
    with suppress(*REQUEST_ERRORS):
        if response.content.is_eof():  # the whole body has arrived: no timer is needed
            await read(response, _DRAINED)
        else:
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                await read(response, _DRAINED)
    return b""


def headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers by lower-case name; of a repeated header, the last."""
    return {name.lower(): _text(value) for name, value in response.headers.items()}


def _text(value: str) -> str:
    """Replace bytes that are not UTF-8, which aiohttp keeps as lone surrogates."""
    if value.isascii():
        return value
    return value.encode(errors="surrogateescape").decode(errors="replace")
