"""Polls with large answers, such as whole transcripts: they are read, and a process' memory is bounded."""

import asyncio
import gzip
import json
import time
import tracemalloc
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from processor.egress import Egress, NetworkScope, Policy
from processor.errors import RequestFailed, Unreadable
from processor.json_input import read_json
from processor.large_body_queue import LARGE_BODY, LargeBodyQueue, LargeBodySlot
from processor.model import NULL, HttpResponse, State, StatusUpdate
from processor.provider import parse, read_poll_response
from processor.service.polling.poll import poll
from processor.sizes import LARGEST_PUSH
from tests.egress.server import Server, answers

WORDS = [{"text": "hello", "start": i * 400, "end": i * 400 + 380} for i in range(2 * 60 * 150)]
LARGE = 12_000_000  # bytes: more than the sockets' buffers hold


PROFILE = """
[poll]
request = "GET /jobs/{id}"
status = "/status"
result = "/words"
every = ["1s", "10s"]
[states]
succeeded = "succeeded"
"""


def transcript(**more: Any) -> str:
    """What speech-to-text providers answer about two hours of speech: 2.6 MB."""
    return json.dumps({"id": "1", "status": "succeeded", "words": WORDS * 3} | more)


async def test_a_job_ends_by_an_answer_of_more_than_a_megabyte(
    bench: Any, provider: Any, polled: Any
):
    assert len(transcript()) > 2 * LARGE_BODY
    provider.raw("1", transcript())
    await bench.watch("1")
    await polled(bench)
    assert (await bench.job("1")).state is State.SUCCEEDED
    keys = bench.store.shard("lab", "1")
    assert await bench.store.jobs.answer(keys, "lab/1") is None  # too long to be kept
    assert bench.context.egress.large_answers._free == LARGEST_PUSH


async def test_the_largest_push_of_a_source_does_not_limit_its_answers(
    bench: Any, provider: Any, polled: Any
):
    provider.raw("1", transcript())
    await bench.watch("1", "small")
    await polled(bench)
    assert (await bench.job("1", "small")).state is State.SUCCEEDED


def test_a_large_result_is_dropped_as_that_of_a_push_and_never_decoded():
    profile = parse("acme", PROFILE)
    body = transcript().encode()
    tracemalloc.start()
    try:
        update = read_poll_response(
            profile, "acme", None, "1", HttpResponse(200, {}, body, 0.1), 1_000_000.0
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(update, StatusUpdate)
    assert (update.state, update.result, update.flags) == (
        State.SUCCEEDED,
        NULL,
        ("result_truncated",),
    )
    assert peak < 2 * len(body)


async def test_many_large_answers_at_once_share_the_room(bench: Any, provider: Any):
    """Each waits for its turn, and none fails."""
    bench.context.egress.large_answers = LargeBodyQueue(together=4_000_000)
    jobs = [str(number) for number in range(12)]
    for job in jobs:
        provider.raw(job, transcript(id=job))
        await bench.watch(job)
        await bench.make_due("poll", f"lab/{job}")
    keys = bench.store.shard("lab", "0")
    claims = await bench.claim(keys, "poll")
    assert len(claims) == 12
    source = bench.context.settings.sources["lab"]
    await asyncio.gather(*(poll(bench.context, source, claim) for claim in claims))
    assert {(await bench.job(job)).state for job in jobs} == {State.SUCCEEDED}


@pytest.mark.parametrize("odd", ["NaN", "7,"])
async def test_a_large_answer_that_is_not_strict_json_does_not_hold_up_others(
    bench: Any, provider: Any, polled: Any, odd: str
):
    """Its tolerant reader takes long, and must let the event loop run meanwhile.

    In processor time of this process: what other programs take counts for nobody.
    """
    words = WORDS * 12
    body = json.dumps({"id": "1", "status": "succeeded", "words": words, "odd": 7})
    body = body.replace('"odd": 7', f'"odd": {odd}')
    began = time.process_time()
    with suppress(Unreadable):
        read_json(body.encode())
    at_once, longest = time.process_time() - began, 0.0

    async def run_all_the_time() -> None:
        nonlocal longest
        while True:
            before = time.process_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.process_time() - before)

    provider.raw("1", body)
    await bench.watch("1")
    others = asyncio.create_task(run_all_the_time())
    await polled(bench)
    others.cancel()
    assert (await bench.job("1")).state is (State.SUCCEEDED if odd == "NaN" else State.QUEUED)
    assert longest < 0.75 * at_once


# -- the client ---------------------------------------------------------------------------------


def response(body: bytes, *lines: bytes) -> bytes:
    head = [b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def ask(egress: Egress, url: str, slot: LargeBodySlot, **more: Any) -> HttpResponse:
    options = {"read_limit": LARGEST_PUSH, "partial": True, "timeout": 10.0} | more
    return await egress.request(
        "GET", url, headers={}, scope=NetworkScope.CONFIGURED, slot=slot, **options
    )


async def test_a_large_answer_is_not_read_until_there_is_room():
    """Of this size, since sockets may buffer tens of megabytes by themselves."""
    sent, size = asyncio.Event(), 48_000_000

    async def serve(server: Server, reader: Any, writer: Any, number: int) -> None:
        await server.request(reader, number)
        writer.write(response(b"x" * size))
        await writer.drain()
        sent.set()
        await server.request(reader, number)
        writer.write(response(b"small"))
        await reader.read()

    async with Server(serve) as server, Egress(Policy()) as egress:
        egress.large_answers = queue = LargeBodyQueue(together=size)
        holder, slot = LargeBodySlot(queue, "a"), LargeBodySlot(queue, "b")
        await holder.acquire(1)
        asked = asyncio.create_task(ask(egress, server.url, slot, read_limit=size))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sent.wait(), 0.3)
        assert not asked.done()
        holder.release()
        answer = await asked
        assert (len(answer.body), answer.cut, slot.held) == (size, "", True)
        assert (await ask(egress, server.url, LargeBodySlot(queue, "b"))).body == b"small"
        assert server.connections == 1
        slot.release()
        await LargeBodySlot(queue, "c").acquire(size)  # all of it is free again


async def test_a_request_that_is_cancelled_as_it_gets_room_keeps_none(wait_until: Any):
    queue = LargeBodyQueue(together=LARGE)

    async def poll_once(egress: Egress, url: str) -> None:
        slot = LargeBodySlot(queue, "b")
        try:
            await ask(egress, url, slot)
        finally:
            slot.release()

    async with (
        Server(partial(answers, response(b"x" * LARGE))) as server,
        Egress(Policy()) as egress,
    ):
        holder = LargeBodySlot(queue, "a")
        await holder.acquire(1)
        asked = asyncio.create_task(poll_once(egress, server.url))
        await wait_until(lambda: bool(queue._waiting))
        asked.cancel()
        holder.release()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await asyncio.wait_for(LargeBodySlot(queue, "c").acquire(LARGE), 1)


async def test_without_room_in_time_the_answer_is_cut_and_says_why():
    async with (
        Server(partial(answers, response(b"x" * LARGE))) as server,
        Egress(Policy()) as egress,
    ):
        egress.large_answers = queue = LargeBodyQueue(together=LARGE)
        holder, slot = LargeBodySlot(queue, "a"), LargeBodySlot(queue, "b")
        await holder.acquire(1)
        answer = await ask(egress, server.url, slot, timeout=0.3)
        assert answer.cut == "no room for another large answer in time"
        assert LARGE_BODY < len(answer.body) < LARGE
        assert not slot.held
        holder.release()
        await slot.acquire(LARGE)  # who gave up takes nothing


async def test_an_answer_up_to_a_megabyte_needs_no_room():
    async with (
        Server(partial(answers, response(b"x" * LARGE_BODY))) as server,
        Egress(Policy()) as egress,
    ):
        queue = LargeBodyQueue(together=0)
        answer = await ask(egress, server.url, LargeBodySlot(queue, "a"))
        assert (len(answer.body), answer.cut) == (LARGE_BODY, "")


async def test_an_answer_that_is_large_once_decompressed_waits_for_room():
    raw = response(gzip.compress(b"x" * LARGE), b"Content-Encoding: gzip")
    async with Server(partial(answers, raw)) as server, Egress(Policy()) as egress:
        queue = LargeBodyQueue(together=LARGEST_PUSH)
        holder, slot = LargeBodySlot(queue, "a"), LargeBodySlot(queue, "b")
        await holder.acquire(1)
        with pytest.raises(RequestFailed, match="no room for another large answer"):
            await ask(egress, server.url, slot, timeout=0.3)
        holder.release()
        assert len((await ask(egress, server.url, slot)).body) == LARGE
        assert slot.held
