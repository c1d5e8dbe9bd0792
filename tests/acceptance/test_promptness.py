"""A Bluesky video's end is noticed at least as soon as by the loop of its official client."""

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web

from .conftest import Shared
from .feed import Caller
from .provider import Provider
from .sink import Sink
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(40)]

# Seconds from its beginning, state, progress "within the current processing state".
WALK = (
    (0.0, "CREATED", None),
    (0.5, "ENCODING", 0),
    (1.0, "ENCODING", 50),
    (1.5, "ENCODED", 100),
    (2.0, "SCANNING", 10),
    (2.5, "SCANNED", 100),
    (2.8, "UPLOADING", 0),
    (3.2, "UPLOADING", 70),
    (3.7, "UPLOADED", 100),
    (4.0, "COMPLETED", 100),
)
OFFICIAL = 1.5  # seconds between the official app's questions
JOBS = 5
SLACK = 0.5


def at(age: float, job: str) -> dict[str, object]:
    """What the provider says of a job of this age."""
    _, state, progress = [row for row in WALK if row[0] <= age][-1]
    status = {"jobId": job, "did": "did:plc:xxxxxxxxxx", "state": f"JOB_STATE_{state}"}
    return {"jobStatus": status if progress is None else status | {"progress": progress}}


async def test_as_prompt_as_the_official_client(shared: Shared, caller: Caller) -> None:
    source, began = "bluesky-walk", time.monotonic()

    async def tell(path: str) -> web.Response:
        return web.json_response(at(time.monotonic() - began, path.rpartition("=")[2]))

    async with Provider(shared.ports[source], tell) as provider, Sink() as sink:
        await caller.subscribe(sink, source, "job.started", "job.progressed", "job.completed")
        jobs = [f"walk-{n}" for n in range(JOBS)]
        began = time.monotonic()
        loop = asyncio.create_task(_official(provider.port))
        for job in jobs:
            assert (await caller.call("PUT", f"/v1/jobs/{source}/{job}", {}))[0] == 201
        theirs = await loop
        await until(lambda: len(_done(sink)) == JOBS, 5, "all callbacks")
        ours = [when - began for when in _done(sink).values()]
    assert max(ours) <= theirs - began + SLACK
    for job in jobs:
        events = [call.event["data"] for call in sink.calls if call.job == job]
        assert sorted(one["sequence"] for one in events) == list(range(1, len(events) + 1))


def _done(sink: Sink) -> dict[str, float]:
    return {c.job: c.at for c in sink.calls if c.event["type"] == "job.succeeded"}


async def _official(port: int) -> float:
    """Ask like the official app; when it sees the end."""
    url = f"http://127.0.0.1:{port}/xrpc/app.bsky.video.getJobStatus?jobId=theirs"
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(url) as answer:
                status = (await answer.json())["jobStatus"]
            if status["state"] in ("JOB_STATE_COMPLETED", "JOB_STATE_FAILED"):
                return time.monotonic()
            await asyncio.sleep(OFFICIAL)
