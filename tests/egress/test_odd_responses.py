"""Malformed responses: a 2xx counts even so, and the rest is read as far as possible."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, strategies as st

from processor.egress import Egress, NetworkScope, Policy
from processor.egress.compression import decompress
from processor.egress.salvage import salvage
from processor.errors import RequestFailed
from processor.model import HttpResponse

from .odd_responses import JSON, ODD, OK, Odd, coded

PUBLIC = Policy.parse(())
SUBSCRIBER = {"method": "POST", "body": b"{}", "body_wanted": False}
POLL = {"method": "GET", "partial": True}


@asynccontextmanager
async def served(raw: bytes, *, pause: bool = False) -> AsyncIterator[str]:
    """A server that sends these bytes, then closes the connection or keeps it open."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            await reader.readexactly(2)
        writer.write(raw)
        if pause:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def ask(raw: bytes, how: dict[str, Any], *, pause: bool = False, **more: Any) -> HttpResponse:
    how = {"headers": {}, "scope": NetworkScope.CONFIGURED, "timeout": 5.0} | how | more
    async with served(raw, pause=pause) as url, Egress(PUBLIC) as egress:
        return await egress.request(how.pop("method"), url, **how)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
async def test_a_malformed_response_is_read_as_far_as_possible(odd: Odd) -> None:
    if odd.status is None:
        for how in (SUBSCRIBER, POLL):
            with pytest.raises(RequestFailed):
                await ask(odd.raw, how)
        return
    assert (await ask(odd.raw, SUBSCRIBER)).status == odd.status
    answer = await ask(odd.raw, POLL)
    assert answer.status == odd.status
    if odd.body is not None:
        assert answer.body == odd.body


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_salvage_reads_the_same_from_the_bytes(odd: Odd) -> None:
    found = salvage(odd.raw)
    assert (found.status if found else None) == odd.status


async def test_headers_of_a_malformed_response_are_used() -> None:
    raw = b"HTTP/1.1 503 Busy\r\nX y: 1\r\nRetry-After:  7 \r\nX: a\x00\r\n\r\n"
    assert (await ask(raw, SUBSCRIBER)).headers == {"retry-after": "7", "x": "a"}


@pytest.mark.parametrize("raw", [OK, OK + b"X: y", OK + b"Content-Length: 9\r\n\r\n"])
async def test_a_status_counts_even_if_the_rest_times_out(raw: bytes) -> None:
    for how in (SUBSCRIBER, POLL):
        assert (await ask(raw, how, pause=True, timeout=0.5)).status == 200


async def test_an_unwanted_body_occupies_its_connection_for_one_second() -> None:
    began = asyncio.get_running_loop().time()
    raw = OK + b"Content-Length: 9\r\n\r\nx"
    assert (await ask(raw, SUBSCRIBER, pause=True, timeout=15.0)).status == 200
    assert 0.9 < asyncio.get_running_loop().time() - began < 5


async def test_a_wanted_body_is_complete_or_an_error() -> None:
    """A key set that breaks off is not kept for a day."""
    for raw in (OK + b"Content-Length: 99\r\n\r\n" + JSON, OK + b"X y: 1\r\n\r\n" + JSON):
        with pytest.raises(RequestFailed):
            await ask(raw, {"method": "GET"})


@pytest.mark.parametrize(
    "name", ["br", "zstd", "compress", "gzip, br", "gzip, gzip, gzip", "x" * 99]
)
async def test_an_unknown_content_encoding_is_named(name: str) -> None:
    raw = coded(name.encode(), b"?")
    with pytest.raises(RequestFailed, match=f"compressed \\('{name[:40]}'\\), though we ask"):
        await ask(raw, POLL)
    assert (await ask(raw, SUBSCRIBER)).status == 200


@pytest.mark.parametrize("layers", [1, 2])
async def test_a_compressed_bomb_is_cut_at_the_limit(layers: int) -> None:
    bomb = bytes(50_000_000)
    for _ in range(layers):
        bomb = gzip.compress(bomb, 9)
    names = b", ".join([b"gzip"] * layers)
    answer = await ask(coded(names, bomb), POLL, read_limit=65_536)
    assert (answer.status, len(answer.body)) == (200, 65_536)
    assert "content-encoding" not in answer.headers


@given(st.binary(), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
def test_any_compressed_body_is_decompressed_or_kept(body: bytes, name: str) -> None:
    assert len(decompress(body, name, 100)) <= 100
    assert decompress(zlib.compress(body), "deflate", 10_000) == (body or zlib.compress(b""))


@given(st.binary() | st.sampled_from(ODD).map(lambda odd: odd.raw), st.integers(0, 200))
def test_salvage_never_raises(raw: bytes, cut: int) -> None:
    for some in (raw, raw[:cut], raw[cut:]):
        found = salvage(some)
        assert found is None or 100 <= found.status <= 999


@pytest.mark.parametrize(("members", "whole"), [(64, True), (65, False), (200_000, False)])
def test_a_gzip_has_few_members(members, whole):
    """What follows a member is copied for the next one: many would hold up the event loop."""
    body = gzip.compress(b"") * (members - 1) + gzip.compress(JSON)
    if whole:
        assert decompress(body, "gzip", 65_536) == JSON
    else:
        with pytest.raises(RequestFailed, match="more than 64 parts"):
            decompress(body, "gzip", 65_536)
