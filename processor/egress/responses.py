"""What is taken from an answer: a bounded body, and headers that can be stored as text."""

import asyncio
from contextlib import suppress

import aiohttp

from processor.egress.failures import REQUEST_ERRORS

_DRAINED = 4096  # bytes; a longer unwanted body costs its connection
_DRAINED_WITHIN = 1.0  # seconds; so does a slower one, and holds nobody's place


async def read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read at most `limit` bytes; the connection lives on only if that was all."""
    content = answer.content
    try:
        body = await content.readany()
        while len(body) <= limit and not content.at_eof():
            body += await content.readany()
    except BaseException:
        answer.close()
        raise
    if not content.at_eof():
        answer.close()
    return body[:limit]


async def drain(answer: aiohttp.ClientResponse) -> bytes:
    """Read past a body that nobody wants, so that its connection is reused; gives b"".

    A body that breaks off or hangs changes nothing: the status has been said.
    """
    with suppress(*REQUEST_ERRORS):
        if answer.content.is_eof():  # all of it is here: no timer is needed
            await read(answer, _DRAINED)
        else:
            async with asyncio.timeout(_DRAINED_WITHIN):
                await read(answer, _DRAINED)
    return b""


def headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Give the headers by lower-case name; of a repeated one, the last."""
    return {name.lower(): _text(value) for name, value in answer.headers.items()}


def _text(value: str) -> str:
    """Replace what is not UTF-8, which aiohttp keeps as lone surrogates that no store takes."""
    if value.isascii():
        return value
    return value.encode(errors="surrogateescape").decode(errors="replace")
