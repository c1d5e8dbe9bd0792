"""A client of HTTP/1.0 knows no chunks: a response without a length ends with its connection."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from .agent import ACCEPT, PREFIX
from .calling import BEARER, Served, Web
from .test_mcp_tasks import META

STREAM = {"accept": "text/event-stream"}


def request(line: str, version: str, body: bytes = b"", **headers: str) -> bytes:
    names = {"host": "localhost", "content-length": str(len(body))} | BEARER | headers
    lines = [f"{line} HTTP/{version}", *(f"{n}: {v}" for n, v in names.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def parts(response: bytes) -> tuple[Sequence[bytes], bytes]:
    """The lines of the head, and the body."""
    head, _, body = response.partition(b"\r\n\r\n")
    return head.lower().split(b"\r\n"), body


@pytest.mark.parametrize("version", ["1.0", "0.9"])
async def test_an_event_stream_is_not_chunked_and_ends_with_the_connection(
    web: Web, served: Served, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    keep = {"connection": "keep-alive"}
    writer.write(request("GET /v1/events", version, **STREAM, **keep))
    async with asyncio.timeout(10):
        response = await reader.readuntil(b"\n\n")  # from here on no event is missed
        await web.push("1", "succeeded")
        response += await reader.readuntil(b"\n\n")
        served.task.cancel()
        response += await reader.read()
    writer.close()
    head, body = parts(response)
    assert b"connection: close" in head
    assert not [line for line in head if line.startswith((b"transfer-", b"content-length"))]
    (event,) = (await web("GET", "/v1/events")).json()["items"]
    beginning, frame, rest = body.split(b"\n\n")
    assert beginning.startswith(b"retry: 3000\nid: ")
    assert frame.partition(b"\ndata: ")[2] == json.dumps(event, separators=(",", ":")).encode()
    assert (rest, "ASGI" in caplog.text) == (b"", False)


async def test_a_stream_that_ends_by_itself_is_whole(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await served.client.put("/v1/jobs/feed/1", json={})
    arguments = {"source": "feed", "id": "1", "timeout": 0.05}
    params = {"name": "wait_for_job", "arguments": arguments}
    meta = META | {f"{PREFIX}clientCapabilities": {}, "progressToken": 1}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params | {"_meta": meta}}
    headers = {"accept": ACCEPT, "content-type": "application/json"}
    headers |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call"}
    headers["mcp-name"] = "wait_for_job"
    sent = request("POST /mcp", "1.0", json.dumps(call).encode(), **headers)
    head, body = parts(await served.raw(sent))
    assert b"content-type: text/event-stream" in {line.partition(b";")[0] for line in head}
    assert b"transfer-encoding: chunked" not in head
    messages = [line for line in body.split(b"\n") if line.startswith(b"data: ")]
    assert json.loads(messages[-1][6:])["result"]["structuredContent"]["done"] is False
    assert body.startswith(b"event: message\ndata: ")
    assert "ASGI" not in caplog.text


async def test_a_response_with_a_length_keeps_it(served: Served) -> None:
    head, body = parts(await served.raw(request("GET /v1/jobs", "1.0")))
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["items"] == []


async def test_the_head_of_a_stream_alone_ends_too(served: Served) -> None:
    head, body = parts(await served.raw(request("HEAD /v1/events", "1.0", **STREAM)))
    assert (head[0], body) == (b"http/1.1 200 ok", b"")
    assert b"transfer-encoding: chunked" not in head


async def test_streams_of_http_1_1_are_chunked(served: Served) -> None:
    async with served.client.stream("GET", "/v1/events", headers=STREAM) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
