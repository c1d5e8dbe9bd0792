"""Slow clients (slowloris, slow readers) are disconnected."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from processor.service.groups.wait import wait_for_job
from processor.service.jobs.query import Found
from processor.web import jobs, read_timeout, request_body, write_timeout

from .calling import BEARER, Served, Web
from .pushing import push, signed

SOON = 0.3  # seconds, in place of ten
HEAD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
GOOD = HEAD + b"\r\n"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_timeout, "HEAD_TIMEOUT", SOON)
    monkeypatch.setattr(request_body, "BODY_TIMEOUT", SOON)
    monkeypatch.setattr(write_timeout, "NO_READ_TIMEOUT", SOON)


def post(path: str, length: int, **headers: str) -> bytes:
    names = {"host": "localhost", "content-length": str(length)} | BEARER | headers
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in names.items())]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ([], b""),
        ([b"\r\n"], b""),
        ([b"GET /hea"], b"HTTP/1.1 408 "),
        ([HEAD], b"HTTP/1.1 408 "),
        ([HEAD, b"a: b\r\n"], b"HTTP/1.1 408 "),
    ],
    ids=["nothing", "an empty line", "half a line", "half a head", "two parts of a head"],
)
async def test_a_missing_head_closes_the_connection(
    served: Served, sent: list[bytes], answer: bytes
) -> None:
    began = time.monotonic()
    response = await served.raw(*sent)
    assert response.startswith(answer)
    assert bool(response) is bool(answer)
    assert SOON * 0.9 < time.monotonic() - began < 3


async def test_after_an_early_answer_the_rest_is_not_waited_for_without_end(served: Served) -> None:
    request = post("/hooks/nobody", 3_000_000, connection="close") + b"x" * 1000
    response = await asyncio.wait_for(served.raw(request), 10)
    assert response.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("rest", [b"\r\n", HEAD], ids=["an empty line", "half a head"])
async def test_a_missing_second_head_closes_the_connection(served: Served, rest: bytes) -> None:
    """Uvicorn's own clock between requests stops at the first byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(GOOD)
    await reader.readuntil(b"}")
    writer.write(rest)
    response = await asyncio.wait_for(reader.read(), 3)
    assert response.startswith(b"HTTP/1.1 408 " if rest == HEAD else b"")
    writer.close()


async def test_a_partial_head_after_a_request_is_408(served: Served) -> None:
    response = await asyncio.wait_for(served.raw(GOOD + HEAD), 3)
    assert response.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 408 " in response


async def test_a_head_without_end(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(HEAD)
    line = b"x: " + b"y" * 8_000 + b"\r\n"
    for _ in range(read_timeout.MAX_HEAD // len(line) + 1):
        writer.write(line)
    assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
    writer.close()


@pytest.mark.parametrize("path", ["/hooks/feed", "/v1/subscriptions"])
async def test_a_missing_body_is_408(served: Served, path: str) -> None:
    body = push()
    head = post(path, len(body), **signed(body))
    for sent in ([head], [head, body[:-1]]):
        response = await served.raw(*sent)
        assert response.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in response
        assert b"connection: close" in response


@pytest.mark.parametrize("path", ["/hooks/feed", "/v1/subscriptions"])
async def test_a_small_body_that_came_with_its_head_needs_no_timer(
    served: Served, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(request_body, "_piece")  # what waits, with a timer, for the next piece
    body = push()
    head = post(path, len(body), connection="close", **signed(body))
    assert b"HTTP/1.1 500 " not in await served.raw(head + body)


async def test_a_body_that_trickles_is_408(served: Served) -> None:
    """Each byte is soon, all of them are not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(post("/hooks/feed", 1000, **signed(b"")))
    answer = asyncio.create_task(reader.readline())  # the rest may be lost: we write on
    while not answer.done():
        writer.write(b" ")
        await asyncio.wait([answer], timeout=SOON / 5)
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_the_body_of_a_refused_request_has_a_read_timeout(served: Served) -> None:
    """The 404 needs no body; a client that keeps sending it slowly is disconnected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(post("/hooks/nobody", 100_000))
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        writer.write(b" ")
        await asyncio.wait([answer], timeout=SOON / 5)
    assert (await answer).startswith(b"HTTP/1.1 404 ")
    writer.close()


async def test_waiting_for_us_does_not_count_as_slow(served: Served) -> None:
    """The timeout is for missing requests, not for slow responses."""
    job = {"content-type": "application/json"}
    await served.client.put("/v1/jobs/feed/1", content=b"{}", headers=job)
    answer = await served.client.get(f"/v1/jobs/feed/1?wait={3 * SOON}")
    assert answer.status_code == 200
    await asyncio.sleep(2 * SOON)  # idle, on the same connection
    assert (await served.client.get("/healthz")).status_code == 200


async def test_pipelined_requests_are_all_answered(served: Served) -> None:
    close = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    response = await served.raw(GOOD * 3 + close)
    assert response.count(b"HTTP/1.1 200 OK") == 4


async def test_an_upgrade_header_is_ignored(served: Served) -> None:
    """There is no upgrade; such a request gets the usual response."""
    lines = b"connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    response = await served.raw(
        HEAD + lines + b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert response.startswith(b"HTTP/1.1 200 OK")


@pytest.fixture
async def large(web: Web, served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """An answer of more bytes than the kernel keeps for a line, from its body on."""
    for number in range(200):
        await web.push(f"j{number}", "succeeded", result="x" * 60_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        b"GET /v1/events?limit=200 HTTP/1.1\r\nhost: localhost\r\n"
        b"authorization: %b\r\n\r\n" % BEARER["authorization"].encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    yield reader, int(head.partition(b"content-length: ")[2].split()[0])
    writer.close()


async def test_a_client_that_reads_nothing_is_disconnected(
    large: tuple[asyncio.StreamReader, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TCP alone keeps a connection without limit if the client does not read."""
    reader, length = large
    lost, received = asyncio.Event(), write_timeout.SlowReaderProtocol.connection_lost

    def connection_lost(self: write_timeout.SlowReaderProtocol, exc: Exception | None) -> None:
        received(self, exc)
        lost.set()

    monkeypatch.setattr(write_timeout.SlowReaderProtocol, "connection_lost", connection_lost)
    await asyncio.wait_for(lost.wait(), 5)
    assert len(await asyncio.wait_for(reader.read(), 5)) < length


async def test_a_client_that_reads_slowly_stays_connected(
    large: tuple[asyncio.StreamReader, int],
) -> None:
    reader, length = large
    began = time.monotonic()
    while length:
        length -= len(await asyncio.wait_for(reader.readexactly(min(1 << 20, length)), 5))
        await asyncio.sleep(SOON / 2)
    assert time.monotonic() - began > 5 * SOON


async def test_slow_clients_do_not_delay_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_timeout, "HEAD_TIMEOUT", 4 * SOON)  # all have sent their part by then
    slow = [asyncio.create_task(served.raw(HEAD)) for _ in range(100)]
    for _ in range(20):
        assert (await served.client.get("/healthz")).status_code == 200
    response = await asyncio.gather(*slow)
    assert all(one.startswith(b"HTTP/1.1 408 ") for one in response)


async def test_a_connection_beyond_the_limit_is_503_while_all_others_are_served(
    served_of: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """Idle ones would give way; these wait for an answer."""
    waiting = []

    async def counted(*args: Any) -> Found:
        waiting.append(1)
        return await wait_for_job(*args)

    monkeypatch.setattr(jobs, "wait_for_job", counted)
    monkeypatch.setattr("processor.web.__main__.MAX_CONNECTIONS", 1)
    monkeypatch.setattr("processor.web.__main__.MAX_LISTENERS", 1)
    served = await served_of()
    await served.client.put("/v1/jobs/feed/1", json={})
    key = f"authorization: {BEARER['authorization']}\r\n".encode()
    asked = b"GET /v1/jobs/feed/1?wait=20 HTTP/1.1\r\nhost: localhost\r\n%b\r\n" % key
    others = []
    for _ in range(2):
        others.append((await asyncio.open_connection("127.0.0.1", served.port))[1])
        others[-1].write(asked)
    await wait_until(lambda: len(waiting) == 2)
    assert (await served.raw(GOOD)).startswith(b"HTTP/1.1 503 ")
    for writer in others:
        writer.close()
