"""Malformed responses: a status counts even so, and the rest is read as far as is sure."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
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
from .server import Server

PUBLIC = Policy.parse(())
SUBSCRIBER = {"method": "POST", "body": b"{}", "body_wanted": False}
POLL = {"method": "GET", "partial": True}
TURNS = 5  # of the loop, in which the client reads a packet before the next one is sent


@asynccontextmanager
async def served(*pieces: bytes, pause: bool = False) -> AsyncIterator[str]:
    """A server that sends these packets, then closes the connection or keeps it open."""

    async def answer(server: Server, reader: Any, writer: Any, number: int) -> None:
        await server.request(reader, number)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            for _ in range(TURNS):
                await asyncio.sleep(0)
        if pause:
            await reader.read()

    async with Server(answer) as server:
        yield server.url


async def ask(
    raw: bytes | list[bytes], how: dict[str, Any], *, pause: bool = False, **more: Any
) -> HttpResponse:
    pieces = raw if isinstance(raw, list) else [raw]
    how = {"headers": {}, "scope": NetworkScope.CONFIGURED, "timeout": 5.0} | how | more
    async with served(*pieces, pause=pause) as url, Egress(PUBLIC) as egress:
        return await egress.request(how.pop("method"), url, **how)


def whole(raw: bytes) -> list[bytes]:
    return [raw]


def head_and_body(raw: bytes) -> list[bytes]:
    end = raw.find(b"\r\n\r\n") + 4
    return [raw[:end], raw[end:]]


def lines(raw: bytes) -> list[bytes]:
    return raw.splitlines(keepends=True) if raw.count(b"\n") < 50 else [raw]


@pytest.mark.parametrize("packets", [whole, head_and_body, lines])
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
async def test_a_malformed_response_is_read_alike_in_any_packets(
    odd: Odd, packets: Callable[[bytes], list[bytes]]
) -> None:
    pieces = packets(odd.raw)
    if odd.status is None:
        for how in (SUBSCRIBER, POLL):
            with pytest.raises(RequestFailed):
                await ask(pieces, how)
        return
    assert (await ask(pieces, SUBSCRIBER)).status == odd.status
    answer = await ask(pieces, POLL)
    assert (answer.status, answer.body, answer.cut) == (odd.status, odd.body, odd.cut)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_salvage_reads_the_same_status_from_the_bytes(odd: Odd) -> None:
    found = salvage(odd.raw)
    assert (found.status if found else None) == odd.status


async def test_headers_of_a_malformed_response_are_used() -> None:
    raw = b"HTTP/1.1 503 Busy\r\nX y: 1\r\nRetry-After:  7 \r\nX: a\x00\r\n\r\n"
    assert (await ask(raw, SUBSCRIBER)).headers == {"retry-after": "7", "x": "a"}


@pytest.mark.parametrize("raw", [OK, OK + b"X: y", OK + b"Content-Length: 9\r\n\r\n"])
async def test_a_status_counts_even_if_the_rest_times_out(raw: bytes) -> None:
    for how in (SUBSCRIBER, POLL):
        answer = await ask(raw, how, pause=True, timeout=0.5)
        assert (answer.status, answer.cut) == (200, "timed out after 0.5 s" if how == POLL else "")


async def test_a_malformed_head_is_read_to_its_end() -> None:
    """The status of a poll that is answered 429, and for how long it wants a pause."""
    pieces = [b"HTTP/1.1 429 Busy\r\nX y: 1\r\n", b"Retry-After: 7\r\n", b"\r\nbusy"]
    for how in (SUBSCRIBER, POLL):
        answer = await ask(pieces, how)
        assert (answer.status, answer.headers, answer.body) == (429, {"retry-after": "7"}, b"")


@pytest.mark.parametrize("size", [100, 101, 300_000])
@pytest.mark.parametrize("packets", [whole, head_and_body])
async def test_a_body_over_the_limit_is_cut_and_says_so(
    size: int, packets: Callable[[bytes], list[bytes]]
) -> None:
    raw = OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
    answer = await ask(packets(raw), POLL, read_limit=100)
    cut = "the answer is larger than 100 bytes" if size > 100 else ""
    assert (answer.status, len(answer.body), answer.cut) == (200, 100, cut)


async def test_what_cannot_become_http_is_refused_at_once() -> None:
    began = asyncio.get_running_loop().time()
    for raw in (b"SSH-2.0-OpenSSH_9.2\r\n", b"+PONG\r\n", b"\x15\x03\x01", b"HTTP/1.1 x\r\n\r\n"):
        with pytest.raises(RequestFailed, match="not valid HTTP"):
            await ask(raw, POLL, pause=True)
    assert asyncio.get_running_loop().time() - began < 5


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


@pytest.mark.parametrize("how", [POLL, {"method": "GET"}], ids=["poll", "whole"])
@pytest.mark.parametrize("name", [b"br", b"gzip, gzip, gzip"])
async def test_an_error_counts_even_if_its_body_cannot_be_decompressed(
    how: dict[str, Any], name: bytes
) -> None:
    line = b"HTTP/1.1 429 Busy\r\nRetry-After: 600\r\n"
    answer = await ask(coded(name, b"?").replace(OK, line), how)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (429, "600", b"")
    assert answer.cut.startswith("the answer is compressed")


@pytest.mark.parametrize("layers", [1, 2])
async def test_a_compressed_bomb_is_cut_at_the_limit(layers: int) -> None:
    bomb = bytes(50_000_000)
    for _ in range(layers):
        bomb = gzip.compress(bomb, 9)
    names = b", ".join([b"gzip"] * layers)
    answer = await ask(coded(names, bomb), POLL, read_limit=65_536)
    assert (answer.status, len(answer.body)) == (200, 65_536)
    assert answer.cut == "the answer is larger than 65536 bytes"
    assert "content-encoding" not in answer.headers


@given(st.binary(), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
def test_any_compressed_body_is_decompressed_or_kept(body: bytes, name: str) -> None:
    assert len(decompress(body, name, 100)[0]) <= 100
    assert decompress(zlib.compress(body), "deflate", 10_000) == (body, True)


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
        assert decompress(body, "gzip", 65_536) == (JSON, True)
    else:
        with pytest.raises(RequestFailed, match="more than 64 parts"):
            decompress(body, "gzip", 65_536)
