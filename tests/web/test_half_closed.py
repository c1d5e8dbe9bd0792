"""A sender that closes its side right after a push is answered; who waits for long is not held for one who left."""

import asyncio
from typing import Any

import pytest

from processor.web.protocol import BoundedProtocol

from .calling import BEARER, Served
from .pushing import push, signed


def request(line: str, body: bytes = b"", **headers: str) -> bytes:
    names = {"host": "localhost", "content-length": str(len(body))} | headers
    lines = [f"{line} HTTP/1.1", *(f"{n}: {v}" for n, v in names.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def pushed(job: str, size: int = 0, path: str = "/hooks/feed") -> bytes:
    body = push(job, result="x" * size)
    return request(f"POST {path}", body, **signed(body, job))


async def half_closed(served: Served, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(sent)
    writer.write_eof()
    response = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return response


@pytest.mark.parametrize("size", [0, 200_000, 900_000])
async def test_a_push_is_answered_and_the_connection_closed(served: Served, size: int) -> None:
    for job in range(5):
        response = await half_closed(served, pushed(str(job), size))
        assert response.startswith(b"HTTP/1.1 202 "), response


async def test_pushes_in_one_piece_are_answered(served: Served) -> None:
    response = await half_closed(served, b"".join(pushed(str(job)) for job in range(4)))
    assert response.count(b"HTTP/1.1 202 ") == 4


async def test_a_refused_push_is_answered(served: Served) -> None:
    response = await half_closed(served, pushed("1", path="/hooks/nobody"))
    assert response.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("cut", [1, 100])
async def test_half_a_push_is_not_waited_for(served: Served, cut: int) -> None:
    assert await half_closed(served, pushed("1")[:-cut]) == b""


async def test_nothing_stays_open_for_senders_that_are_gone(
    served: Served, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, lost = [], BoundedProtocol.connection_lost

    def connection_lost(self: BoundedProtocol, exc: Exception | None) -> None:
        lost(self, exc)
        ended.append(self)

    monkeypatch.setattr(BoundedProtocol, "connection_lost", connection_lost)
    for job in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(pushed(str(job)))
        writer.close()
    await wait_until(lambda: len(ended) == 20)


@pytest.mark.parametrize("path", ["/v1/jobs/feed/1?wait=30", "/v1/events"])
async def test_a_wait_ends_when_its_client_closes_its_side(served: Served, path: str) -> None:
    """A client that is gone looks the same."""
    job = {"content-type": "application/json"}
    await served.client.put("/v1/jobs/feed/1", content=b"{}", headers=job)
    headers = BEARER | {"accept": "text/event-stream"}
    response = await half_closed(served, request(f"GET {path}", **headers))  # within 5 s
    assert b'"id":"1"' not in response
