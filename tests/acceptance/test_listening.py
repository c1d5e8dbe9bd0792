"""Waiting for events: a stream that resumes, and a GET that wakes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest

from .feed import Caller, push
from .processes import BEARER
from .sink import Sink
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(40)]

JOBS = 200
LIVE = 40  # events read before the line is cut


class Frame(NamedTuple):
    """One server-sent event."""

    id: str
    event: str
    data: Any


@asynccontextmanager
async def stream(caller: Caller, after: str | None = None) -> AsyncIterator[aiohttp.StreamReader]:
    """The event stream, from now or behind an id."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    async with aiohttp.ClientSession(headers=BEARER) as session:
        url = f"{caller.url}/v1/events"
        async with session.get(url, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            assert (await answer.content.readuntil(b"\n\n")).startswith(b"retry: 3000\nid: ")
            yield answer.content


async def frames(lines: aiohttp.StreamReader, source: str) -> AsyncIterator[Frame]:
    """The events of one source; comments and others' events are passed over."""
    while True:
        text = (await lines.readuntil(b"\n\n")).decode()
        if text.startswith(":"):
            continue
        fields = dict(line.split(": ", 1) for line in text.splitlines() if line)
        frame = Frame(fields["id"], fields["event"], json.loads(fields["data"]))
        if frame.data["data"].get("source") == source:
            yield frame


async def read(lines: aiohttp.StreamReader, source: str, many: int) -> list[Frame]:
    """So many events."""
    found: list[Frame] = []
    async with asyncio.timeout(15):
        async for frame in frames(lines, source):
            found.append(frame)
            if len(found) == many:
                break
    return found


async def test_a_stream_tells_everything_in_order_and_resumes(caller: Caller, source: str) -> None:
    words = ("running", "succeeded")
    async with stream(caller) as live:
        pushing = asyncio.create_task(
            caller.push_all(push(source, f"j{n}", word) for n in range(JOBS) for word in words)
        )
        first = await read(live, source, LIVE)
    await pushing  # while nobody reads
    log = [e for e in await caller.items("/v1/events") if e["data"].get("source") == source]
    async with stream(caller, first[-1].id) as resumed:
        assert await caller.push(push(source, "last", "failed")) == 202
        events = first
        while events[-1].data["data"]["id"] != "last":
            events = events + await read(resumed, source, 1)
    ids = [frame.data["id"] for frame in events]
    assert len(ids) == len(set(ids)) == len({frame.id for frame in events})
    assert ids[: len(log)] == [event["id"] for event in log]
    assert all(frame.event == frame.data["type"] for frame in events)
    finals = {f.data["data"]["id"] for f in events if f.event == "job.succeeded"}
    assert finals == {f"j{n}" for n in range(JOBS)}
    for n in range(JOBS):
        order = [f.data["data"]["sequence"] for f in events if f.data["data"]["id"] == f"j{n}"]
        assert order == list(range(1, len(order) + 1))


async def test_a_waiting_get_wakes_when_the_job_completes(caller: Caller, source: str) -> None:
    job = f"/v1/jobs/{source}/job"
    assert (await caller.call("PUT", job, {}))[0] == 201
    early = await caller.get(f"{job}?wait=0.2")
    assert early["state"] == "queued"
    waiters = [asyncio.create_task(caller.get(f"{job}?wait=30")) for _ in range(10)]
    async with Sink() as sink:
        await caller.subscribe(sink, source)
        assert await caller.push(push(source, "job", "running")) == 202
        assert (await caller.get(f"{job}?wait=0.2"))["state"] in ("queued", "running")
        assert not any(waiter.done() for waiter in waiters)
        assert await caller.push(push(source, "job", "succeeded")) == 202
        found = await asyncio.gather(*waiters)
        woken = time.monotonic()
        await until(lambda: sink.calls, 5, "the callback")
    assert {one["state"] for one in found} == {"succeeded"}
    assert woken - sink.calls[0].at < 1.0
