"""Limits of bytes and connections for callers without a key: idle and slow ones are evicted for others."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from processor.web import body_budget, read_timeout
from processor.web.body_budget import SMALL_BODY

from . import conftest
from .calling import Served
from .pushing import push, signed

KIB = 1024
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def post(path: str, body: bytes = b"", length: int | None = None, **headers: str) -> bytes:
    """A request as it is sent."""
    names = {"host": "localhost", "content-length": str(len(body) if length is None else length)}
    lines = [f"POST {path} HTTP/1.1", *(f"{n}: {v}" for n, v in (names | headers).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def honest(job: str = "1") -> bytes:
    """A push that must be accepted."""
    body = push(job, "running")
    return post("/hooks/feed", body, **signed(body, f"msg_{job}"), connection="close")


@pytest.fixture
async def line(served_of: Any) -> Callable[[Served], Awaitable[Line]]:
    async def make(served: Served) -> Line:
        return await asyncio.open_connection("127.0.0.1", served.port)

    return make


async def test_unfinished_bodies_are_evicted_for_a_push(
    served_of: Any, line: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_budget, "MAX_IN_FLIGHT_BYTES", 512 * KIB)
    monkeypatch.setattr(body_budget, "MAX_ADDRESS_BYTES", 512 * KIB)
    served = await served_of()
    lines = [await line(served) for _ in range(20)]
    for _, writer in lines:
        writer.write(post("/hooks/feed", b"x" * 50 * KIB, 50 * KIB + 1))
        await writer.drain()
    sent_away = [reader for reader, _ in lines if await _over(reader, 0.5)]
    assert 8 <= len(sent_away) < 20  # some wait on, since there is room for them
    assert (await served.raw(honest())).startswith(b"HTTP/1.1 202 ")
    metrics = await served.client.get("/metrics")
    assert 'ringback_connections_closed_total{process="web",reason="body"}' in metrics.text
    for _, writer in lines:
        writer.close()


async def _over(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether a connection is sent away, with 503 and a time to come again, or cut."""
    try:
        response = await asyncio.wait_for(reader.read(), seconds)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return response == b"" or (
        response.startswith(b"HTTP/1.1 503 ") and b"retry-after: 5" in response
    )


async def test_bodies_of_connections_that_are_gone_are_not_counted(
    served_of: Any, line: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[body_budget.BodyBudget] = []
    monkeypatch.setattr("processor.web.__main__.BodyBudget", lambda: budgets[0])
    budgets.append(body_budget.BodyBudget())
    served = await served_of()
    lines = [await line(served) for _ in range(5)]
    for _, writer in lines:
        writer.write(post("/hooks/feed", b"x" * 5000, 10_000))
    await wait_until(lambda: budgets[0].total == 25_000)
    for _, writer in lines:
        writer.close()
    await wait_until(lambda: budgets[0].total == 0)
    assert (await served.raw(honest())).startswith(b"HTTP/1.1 202 ")
    await wait_until(lambda: budgets[0].total == 0)


@pytest.mark.parametrize("sent", [b"", b"POST /hooks/feed HT"], ids=["nothing", "half a head"])
async def test_idle_connections_are_evicted_for_new_ones(
    served_of: Any, line: Any, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("processor.web.__main__.MAX_CONNECTIONS", 20)
    monkeypatch.setattr("processor.web.__main__.MAX_LISTENERS", 10)
    served = await served_of()
    lines = []
    for _ in range(100):
        lines.append(await line(served))
        lines[-1][1].write(sent)
    for number in range(20):
        assert (await served.raw(honest(str(number)))).startswith(b"HTTP/1.1 202 ")
    assert await _over(lines[0][0], 1)
    for _, writer in lines:
        writer.close()


async def test_connections_between_requests_are_evicted_too(
    served_of: Any, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.web.__main__.MAX_CONNECTIONS", 20)
    monkeypatch.setattr("processor.web.__main__.MAX_LISTENERS", 1)
    served = await served_of()
    lines = []
    for _ in range(60):
        lines.append(await line(served))
        lines[-1][1].write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await lines[-1][0].readuntil(b"}")
    assert (await served.raw(honest())).startswith(b"HTTP/1.1 202 ")
    for _, writer in lines:
        writer.close()


async def test_endless_bodies_are_evicted_if_no_connection_is_idle(
    served_of: Any, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.web.__main__.MAX_CONNECTIONS", 20)
    monkeypatch.setattr("processor.web.__main__.MAX_LISTENERS", 1)
    served = await served_of()
    lines = []
    for _ in range(60):
        lines.append(await line(served))
        lines[-1][1].write(post("/hooks/feed", b"x" * SMALL_BODY, 2 * SMALL_BODY))
        await asyncio.sleep(0)
    for number in range(5):
        assert (await served.raw(honest(str(number)))).startswith(b"HTTP/1.1 202 ")
    for _, writer in lines:
        writer.close()


# --- heads that cannot be served -----------------------------------------------------------------

MALFORMED = [
    b"POST http:// HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
    b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"CONNECT / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /hooks/feed HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
    b"POST /hooks/feed HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /hooks/feed HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
]


@pytest.mark.parametrize("request_", MALFORMED, ids=range(len(MALFORMED)))
async def test_malformed_http_is_400_and_not_logged(
    served: Served, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    response = await asyncio.wait_for(served.raw(request_), 3)
    assert response.startswith(b"HTTP/1.1 400 ")
    assert response.count(b"HTTP/1.1 ") == 1
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    metrics = await served.client.get("/metrics")
    assert 'ringback_connections_closed_total{process="web",reason="malformed"} 1.0' in metrics.text


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_a_large_head_is_431_in_however_many_pieces_it_comes(
    served: Served, pieces: int
) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"y" * read_timeout.MAX_HEAD + b"\r\n\r\n"
    step = len(whole) // pieces + 1
    response = await served.raw(*(whole[n : n + step] for n in range(0, len(whole), step)))
    assert response.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("where", ["line", "fields"])
async def test_a_large_url_or_many_headers_are_431(served: Served, where: str) -> None:
    line = b"/healthz" + (b"?" + b"a" * read_timeout.MAX_HEAD if where == "line" else b"")
    fields = b"" if where == "line" else b"a: b\r\n" * (read_timeout.MAX_HEAD // 5)
    response = await served.raw(b"GET %b HTTP/1.1\r\n%b\r\n" % (line, fields))
    assert response.startswith(b"HTTP/1.1 431 ")


async def test_a_body_before_the_beginning_of_a_head_does_not_count_as_head(served: Served) -> None:
    """Both are in one piece, as a sender that does not wait for answers sends them."""
    body = json.dumps({"id": "1", "status": "running", "note": "y" * 200_000}).encode()
    first, second = post("/hooks/feed", body, **signed(body, "msg_0")), honest()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(first + second[:40])
    begin = await asyncio.wait_for(
        reader.readuntil(b"}"), 10
    )  # one piece, or the body would not end
    writer.write(second[40:])
    response = begin + await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert re.findall(rb"HTTP/1.1 (\d+) ", response) == [b"202", b"202"]


async def test_a_head_of_60_kb_is_accepted(served: Served) -> None:
    close = b"connection: close\r\nx: " + b"y" * 60_000
    response = await served.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % close)
    assert response.startswith(b"HTTP/1.1 200 ")


# --- bodies in every shape ------------------------------------------------------------------------


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks."""
    pieces = [body[n : n + size] for n in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_chunked_push_is_accepted(served: Served, size: int) -> None:
    body = push("1", "running", result="x" * 5000)
    head = post("/hooks/feed", **signed(body), connection="close")
    head = head.replace(b"content-length: 0", b"transfer-encoding: chunked")
    assert (await served.raw(head + chunked(body, size))).startswith(b"HTTP/1.1 202 ")


async def test_a_push_with_expect_100_continue_is_accepted(served: Served) -> None:
    body = push()
    head = post("/hooks/feed", length=len(body), **signed(body), expect="100-continue")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.readline()).startswith(b"HTTP/1.1 202 ")
    writer.close()


async def test_a_refused_push_gets_no_100_continue(served: Served) -> None:
    head = post("/hooks/nobody", length=9, expect="100-continue", connection="close")
    response = await served.raw(head)
    assert response.startswith(b"HTTP/1.1 404 ")


async def test_pushes_in_one_piece_are_answered_in_order(served: Served) -> None:
    ends = [*range(3), "last"]
    requests = b"".join(
        post("/hooks/feed", body, **signed(body, f"m{n}"))
        for n in ends[:-1]
        for body in [push(f"job{n}", "running", result="x" * 70_000)]
    )
    response = await served.raw(requests + honest("last"))
    assert response.count(b"HTTP/1.1 202 ") == 4


async def test_an_http_1_0_push_is_accepted(served: Served) -> None:
    response = await served.raw(honest().replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    assert response.startswith(b"HTTP/1.1 202 ")


async def test_a_truncated_push_causes_no_500_and_no_waiting(served: Served) -> None:
    """No traceback, no 500, and nothing that goes on waiting."""
    whole = honest("cut").replace(b"connection: close", b"x: y")

    async def cut(at: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(whole[:at])
        writer.write_eof()
        try:
            return await asyncio.wait_for(reader.read(), read_timeout.HEAD_TIMEOUT / 2)
        except TimeoutError:  # it may yet come: a half-closed connection can be answered
            return b""
        finally:
            writer.close()

    response = await asyncio.gather(*map(cut, range(0, len(whole), 3)))
    assert not any(b" 500 " in one for one in response)
    assert (await served.raw(honest("after"))).startswith(b"HTTP/1.1 202 ")


async def test_the_body_of_a_refused_request_is_not_read_as_a_request(served: Served) -> None:
    """The 404 comes before the body, which is thrown away to its end."""
    inner = honest("smuggled")
    response = await served.raw(post("/hooks/nobody", inner), honest("after"))
    assert re.findall(rb"HTTP/1.1 (\d+) ", response) == [b"404", b"202"]


async def test_a_huge_body_of_a_refused_push_is_discarded(served_of: Any, line: Any) -> None:
    served = await served_of()
    reader, writer = await line(served)
    writer.write(post("/hooks/nobody", b"x" * 3_000_000) + honest("after"))
    response = await asyncio.wait_for(reader.read(), 10)
    assert response.count(b"HTTP/1.1 202 ") == 1
    assert json.loads(response.rpartition(b"\r\n\r\n")[2])["accepted"] == 1
    writer.close()


async def test_an_early_answer_reaches_a_client_that_sends_on(served: Served, line: Any) -> None:
    """A proxy such as nginx sends `Connection: close`; a reset would make its 404 a 502."""
    reader, writer = await line(served)
    request = post("/hooks/nobody", b"x" * 3_000_000, connection="close")
    writer.write(request[:100_000])
    assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
    writer.write(request[100_000:])
    await asyncio.wait_for(writer.drain(), 10)
    response = await asyncio.wait_for(reader.read(), 10)  # to the end of the connection
    assert b'"status":404' in response
    writer.close()


# --- pushes over 1 MiB ----------------------------------------------------------------------------

BIG = 5_000_000  # bytes
SOURCES = """
[sources.deepgram]
provider = "deepgram"
webhook_secret = "a token that was made up"

[sources.roomy]
provider = "standard"
webhook_secret = "{secret}"
largest = "6MB"
"""


@pytest.fixture
async def roomy(tmp_path: Any, served_of: Any, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setattr(conftest, "CONFIGURATION", conftest.CONFIGURATION + SOURCES)
    made: Served = await served_of()
    return made


def transcript(job: str, size: int) -> bytes:
    """A callback of Deepgram's, as its documentation shows them, of so many bytes."""
    word = {"word": "hello", "start": 0.1, "end": 0.5, "confidence": 0.98, "speaker": 0}
    words = [word] * (size // len(json.dumps(word)))
    one = {"transcript": "hello", "confidence": 0.99, "words": words}
    results = {"channels": [{"alternatives": [one]}]}
    return json.dumps({"metadata": {"request_id": job}, "results": results}).encode()


async def test_a_large_push_is_accepted_if_the_profile_allows_it(roomy: Served) -> None:
    headers = {"content-type": "application/json", "dg-token": "a token that was made up"}
    bodies = [transcript(f"large-{n}", BIG) for n in range(4)]
    answers = await asyncio.gather(
        *(roomy.client.post("/hooks/deepgram", content=one, headers=headers) for one in bodies)
    )
    assert [one.status_code for one in answers] == [202] * 4
    assert all(one.json()["accepted"] == 1 for one in answers)


async def test_a_source_may_allow_larger_pushes_than_its_profile(roomy: Served) -> None:
    body = push("1", "succeeded", result="x" * BIG)
    answer = await roomy.client.post("/hooks/roomy", content=body, headers=signed(body))
    assert answer.status_code == 202
    for path, length in (("/hooks/feed", BIG), ("/hooks/roomy", 6_000_001)):
        response = await roomy.raw(post(path, length=length))
        assert response.startswith(b"HTTP/1.1 413 ")
    assert b"6000000 bytes" in response


async def test_a_large_body_in_chunks_has_the_same_limit(roomy: Served) -> None:
    body = push("1", "succeeded", result="x" * BIG)
    head = post("/hooks/roomy", **signed(body), connection="close")
    head = head.replace(b"content-length: 0", b"transfer-encoding: chunked")
    assert (await roomy.raw(head + chunked(body, 50_000))).startswith(b"HTTP/1.1 202 ")
    reader, writer = await asyncio.open_connection("127.0.0.1", roomy.port)
    writer.write(head.replace(b"/roomy", b"/feed") + chunked(body, 50_000)[:1_100_000])
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_small_push_does_not_wait_for_one_of_thousands_of_updates(served: Served) -> None:
    updates = json.dumps([{"id": f"j{n}", "status": "running"} for n in range(5_000)]).encode()
    many = asyncio.create_task(
        served.client.post("/hooks/feed", content=updates, headers=signed(updates, "many"))
    )
    small = -1  # the first may arrive before the large one
    while not many.done():
        response = await served.raw(honest(f"small{small}"))
        assert response.startswith(b"HTTP/1.1 202 ")
        small += 1
    assert (await many).json()["accepted"] == 5_000
    assert small >= 3
