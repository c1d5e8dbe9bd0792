"""Polls whose answer breaks off, is malformed or too large: they tell nothing about the job, unless they
are the result itself.

In these two profiles the HTTP code may be the status; the body of such an answer says otherwise.
"""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from processor.config.loading import load_profiles
from processor.egress import Egress, NetworkScope, Policy
from processor.model import State, StatusUpdate
from processor.provider import PollFailure, read_poll_response
from processor.service.polling.poll import READ_AT_MOST
from tests.egress.server import Server

PROFILES = load_profiles(None, {})
FAILED = json.dumps({"status": "failed", "error": {"code": "quota"}, "log": "x" * 2000}).encode()
LARGE = json.dumps({"status": "failed", "log": "x" * READ_AT_MOST}).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(FAILED), FAILED)


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body)


CUT = {
    "half a body": [OK + sized(FAILED) + FAILED[:900]],
    "no body": [OK + sized(FAILED)],
    "half a head": [OK],
    "no last chunk": [OK + CHUNKED + b"\r\n" + CHUNK],
    "a bad chunk": [OK + CHUNKED + b"\r\n" + CHUNK + b"zz\r\n"],
    "a bad head": [OK + b"X y: 1\r\n" + sized(FAILED) + FAILED],
    "a bad head before its body": [OK + b"X y: 1\r\n" + sized(FAILED), FAILED],
    "a length twice": [OK + sized(FAILED)[:-2] + sized(FAILED), FAILED],
    "a body over the limit": [OK + sized(LARGE), LARGE],
}


async def answered(name: str, *pieces: bytes) -> StatusUpdate | PollFailure:
    """What a poll of a job says whose answer comes in these packets."""

    async def serve(server: Server, reader: Any, writer: Any, number: int) -> None:
        await server.request(reader, number)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with Server(serve) as server, Egress(Policy()) as egress:
        response = await egress.request(
            "GET",
            server.url,
            headers={},
            scope=NetworkScope.CONFIGURED,
            read_limit=READ_AT_MOST,
            partial=True,
        )
    return read_poll_response(PROFILES[name], name, None, "1", response, 1_000_000.0)


@pytest.mark.parametrize("profile", ["azure-async", "http-202"])
async def test_a_whole_answer_is_read_whatever_its_framing(profile: str):
    for pieces in (
        [OK + sized(FAILED) + FAILED],
        [OK + sized(FAILED), FAILED],
        [OK + CHUNKED + sized(FAILED), CHUNK + b"0\r\n\r\n"],
    ):
        update = await answered(profile, *pieces)
        assert isinstance(update, StatusUpdate)
        assert update.state is State.FAILED


@pytest.mark.parametrize("profile", ["azure-async", "http-202"])
@pytest.mark.parametrize("pieces", CUT.values(), ids=CUT)
async def test_a_cut_answer_is_a_failed_poll(profile: str, pieces: list[bytes]):
    failure = await answered(profile, *pieces)
    assert isinstance(failure, PollFailure)
    assert failure.kind == "failed"
    assert failure.reason.startswith("HTTP 200, but ")


FILE = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("profile", ["azure-async", "http-202"])
async def test_a_file_over_the_limit_ends_the_job(profile: str):
    """The operation answers with its result: its code is all that can be read of it."""
    update = await answered(profile, FILE % (40 * READ_AT_MOST), b"\0" * (READ_AT_MOST + 1))
    assert isinstance(update, StatusUpdate)
    assert update.state is State.SUCCEEDED


async def test_a_file_of_which_nothing_came_is_a_failed_poll():
    for pieces in ([FILE % 9], [FILE[:40]], [b"HTTP/1.1 200 OK\r\nX y: 1\r\n" + FILE[17:] % 9]):
        failure = await answered("http-202", *pieces)
        assert isinstance(failure, PollFailure)


async def test_its_reason_says_how_it_was_cut():
    failures = [
        await answered("azure-async", *CUT[name])
        for name in ("half a body", "a bad head", "a body over the limit")
    ]
    assert [failure.reason for failure in failures if isinstance(failure, PollFailure)] == [
        "HTTP 200, but the answer broke off",
        "HTTP 200, but the answer is not valid HTTP",
        f"HTTP 200, but the answer is larger than {READ_AT_MOST} bytes",
    ]


@pytest.mark.parametrize(
    ("line", "kind", "wait"),
    [
        (b"429 Busy\r\nRetry-After: 600", "throttled", 600),
        (b"503 Busy\r\nRetry-After: 600", "throttled", 600),
        (b"401 Who", "unauthorized", None),
        (b"404 Gone", "gone", None),
        (b"500 Oops", "failed", None),
    ],
)
async def test_the_code_of_an_error_counts_even_if_its_body_breaks_off(
    line: bytes, kind: str, wait: float | None
):
    brotli = b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\n\x0b\x01\x80a"
    for more in (brotli, b"Content-Length: 99\r\n\r\nsorry", b"X y: 1\r\n\r\nsorry", b""):
        failure = await answered("azure-async", b"HTTP/1.1 %b\r\n%b" % (line, more))
        assert isinstance(failure, PollFailure)
        assert (failure.kind, failure.retry_after) == (kind, wait)


async def test_a_part_of_a_file_ends_the_job_and_is_not_kept(
    bench: Any, provider: Any, polled: Any
):
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "video/mp4"})
        response.content_length = 99
        await response.prepare(request)
        await response.write(b"\0\0\0\x20ftyp")
        request.transport.close()
        return response

    provider.stream("1", cut)
    await bench.watch("1", "coded")
    await polled(bench)
    assert (await bench.job("1", "coded")).state is State.SUCCEEDED
    assert await bench.store.jobs.answer(bench.store.shard("coded", "1"), "coded/1") is None


async def test_a_job_whose_answer_breaks_off_goes_on(bench: Any, provider: Any, polled: Any):
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json"})
        response.content_length = len(FAILED)
        await response.prepare(request)
        await response.write(FAILED[:900])
        request.transport.close()
        return response

    provider.stream("1", cut)
    await bench.watch("1", "coded")
    await polled(bench)
    job = await bench.job("1", "coded")
    assert (job.state, job.failed_polls.count) == (State.QUEUED, 1)
    assert await bench.events() == []
    provider.says("1", status="failed")
    await bench.make_due("poll", "coded/1", "coded")
    await polled(bench)
    assert (await bench.job("1", "coded")).state is State.FAILED
