"""A request that offers to switch protocols, as Java's HttpClient does, is read as if it did not."""

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from processor.web import read_timeout

from .calling import BEARER, KEY, Served
from .pushing import push, signed

OFFER = {
    "connection": "Upgrade, HTTP2-Settings",
    "upgrade": "h2c",
    "http2-settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
}
CLOSING = OFFER | {"connection": "Upgrade, HTTP2-Settings, close"}


def request(line: str, body: bytes = b"", **headers: str) -> bytes:
    names = {"host": "localhost", "content-length": str(len(body))} | headers
    lines = [f"{line} HTTP/1.1", *(f"{n}: {v}" for n, v in names.items() if v)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def pushed(job: str, offer: dict[str, str]) -> bytes:
    body = push(job)
    return request("POST /hooks/feed", body, **signed(body, job), **offer)


def statuses(response: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1.1 (\d+) ", response)


async def pieces(served: Served, *parts: bytes) -> bytes:
    """What the server answers to bytes that come in these pieces, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.002)  # so that it is a piece of its own
    response = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return response


@pytest.mark.parametrize("offer", [CLOSING, {**CLOSING, "upgrade": "websocket"}], ids=repr)
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
async def test_a_push_is_accepted_in_any_pieces(
    served: Served, offer: dict[str, str], size: int
) -> None:
    whole = pushed("1", offer)
    response = await pieces(served, *(whole[at : at + size] for at in range(0, len(whole), size)))
    assert statuses(response) == [b"202"]
    assert json.loads(response.rpartition(b"\r\n\r\n")[2])["accepted"] == 1


@pytest.mark.parametrize("apart", [False, True])
async def test_head_and_body_in_two_pieces(served: Served, apart: bool) -> None:  # noqa: FBT001 -- a parameter
    head, end, body = pushed("1", CLOSING).partition(b"\r\n\r\n")
    parts = (head + end, body) if apart else (head, end + body)
    assert statuses(await pieces(served, *parts)) == [b"202"]


async def test_a_body_in_chunks(served: Served) -> None:
    body = push("1")
    headers = signed(body) | CLOSING | {"content-length": "", "transfer-encoding": "chunked"}
    head = request("POST /hooks/feed", **headers)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:9], body[9:])) + b"0\r\n\r\n"
    assert statuses(await pieces(served, head, chunks)) == [b"202"]
    assert statuses(await pieces(served, head + chunks)) == [b"202"]


@pytest.mark.parametrize("apart", [False, True])
async def test_a_body_is_never_read_as_a_request(served: Served, apart: bool) -> None:  # noqa: FBT001 -- a parameter
    """Behind a proxy that reuses connections, it would be answered to somebody else."""
    inner = request("GET /healthz")
    head = request("POST /hooks/nobody", **OFFER | {"content-length": str(len(inner))})
    parts = [head, inner] if apart else [head + inner]
    response = await pieces(served, *parts, request("GET /healthz", connection="close"))
    assert statuses(response) == [b"404", b"200"]


async def test_offers_in_one_piece_are_answered_in_order(served: Served) -> None:
    """More of them than Python allows calls inside of each other."""
    health = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" * 800
    first = pushed("1", OFFER) + request("GET /v1/jobs", **OFFER) + pushed("2", {})
    response = await pieces(served, first + health + pushed("3", CLOSING))
    assert statuses(response) == [b"202", b"401", b"202", *[b"200"] * 800, b"202"]


@pytest.mark.parametrize("size", [1, 61])
async def test_offers_in_any_pieces_are_answered_in_order(served: Served, size: int) -> None:
    whole = pushed("1", OFFER) + request("GET /healthz", **OFFER) + pushed("2", CLOSING)
    response = await pieces(served, *(whole[i : i + size] for i in range(0, len(whole), size)))
    assert statuses(response) == [b"202", b"200", b"202"]


async def test_a_put_keeps_its_metadata(served: Served) -> None:
    body = json.dumps({"metadata": {"order": 42}}).encode()
    more = {"content-type": "application/json"} | BEARER | CLOSING
    response = await pieces(served, request("PUT /v1/jobs/feed/1", body, **more))
    assert json.loads(response.rpartition(b"\r\n\r\n")[2])["metadata"] == {"order": 42}


async def test_what_follows_an_offer_is_checked(served: Served) -> None:
    response = await pieces(served, pushed("1", OFFER) + b"no request\r\n\r\n")
    assert statuses(response)[-1:] == [b"400"]


@pytest.mark.parametrize("size", [1000, 1_000_000])
async def test_a_head_with_an_offer_has_the_usual_limit(served: Served, size: int) -> None:
    whole = request("GET /healthz", **CLOSING, x="y" * read_timeout.MAX_HEAD)
    response = await pieces(served, *(whole[i : i + size] for i in range(0, len(whole), size)))
    assert statuses(response)[:1] == [b"431"]


async def test_connect_is_refused(served: Served) -> None:
    line = (
        b"CONNECT 127.0.0.1:8080 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    )
    assert statuses(await pieces(served, line)) == [b"400"]


PUT = """
import java.net.URI;
import java.net.http.*;
public class Put {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        for (int n = 0; n < 2; n++) {
            var body = HttpRequest.BodyPublishers.ofString("{\\"metadata\\":{\\"n\\":" + n + "}}");
            var request = HttpRequest.newBuilder(URI.create(args[0] + n))
                .header("Authorization", "Bearer " + args[1])
                .header("Content-Type", "application/json").PUT(body).build();
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
        }
    }
}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK")
async def test_the_http_client_of_java(served: Served, tmp_path: Path) -> None:
    (tmp_path / "Put.java").write_text(PUT)
    url = f"http://127.0.0.1:{served.port}/v1/jobs/feed/j"
    command = ["java", "-Xshare:auto", str(tmp_path / "Put.java"), url, KEY]
    found = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=60, check=True
    )
    jobs = [json.loads(line) for line in found.stdout.splitlines()]
    assert [job["metadata"] for job in jobs] == [{"n": 0}, {"n": 1}]
