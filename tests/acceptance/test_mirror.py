"""Other people's clients read jobs from the mirror as they would from the provider."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from atproto import Client
from redis.asyncio import Redis

from processor.service.polling.last_answer import LastAnswer

from .conftest import Shared, hosted
from .feed import Caller
from .processes import BEARER, free_port
from .provider import Provider, hang, says
from .system import WEB, System
from .waiting import until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

# Lexicon app.bsky.video.defs#jobStatus; the last two words are unknown to it.
STATES = [
    f"JOB_STATE_{word}"
    for word in (
        *("CREATED", "ENCODING", "ENCODED", "SCANNING", "SCANNED", "UPLOADING", "UPLOADED"),
        *("COMPLETED", "FAILED", "IN_PROGRESS", "MADE_UP_TOMORROW"),
    )
]
FINALS = {"JOB_STATE_COMPLETED": "succeeded", "JOB_STATE_FAILED": "failed"}
BLOB = {
    "$type": "blob",
    "ref": {"$link": "bafkreiam5ayuqtxeqzzcdmhl2cr5mkm5mdqcdrzrijyb2ibtdrxzb3yy5m"},
    "mimeType": "video/mp4",
    "size": 1_048_576,
}
EXTRAS: dict[str, dict[str, Any]] = {
    "JOB_STATE_ENCODING": {"progress": 55},
    "JOB_STATE_COMPLETED": {"progress": 100, "blob": BLOB},
    "JOB_STATE_FAILED": {
        "error": "video processing error",
        "failureCode": "encoding_failure",
        "message": "Failed to process video",
    },
}


async def _bluesky(path: str) -> web.Response:
    job = path.rpartition("jobId=")[2]
    state = f"JOB_STATE_{job}"
    status = {"jobId": job, "did": "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "state": state}
    return web.json_response({"jobStatus": status | EXTRAS.get(state, {})})


async def test_the_atproto_client_reads_every_state(shared: Shared, caller: Caller) -> None:
    client = Client(base_url=f"{shared.system.url}/mirror/bluesky")
    client.request.add_additional_header("Authorization", BEARER["authorization"])
    ask = client.app.bsky.video.get_job_status
    async with Provider(shared.ports["bluesky"], _bluesky):
        for state in STATES:
            job = state.removeprefix("JOB_STATE_")
            first = await asyncio.to_thread(ask, {"job_id": job})
            got = (await asyncio.to_thread(ask, {"job_id": job})).job_status
            assert got == first.job_status  # at first sight, and as stored
            assert (got.job_id, got.state) == (job, state)
            assert got.progress == EXTRAS.get(state, {}).get("progress")
            ours = await caller.get(f"/v1/jobs/bluesky/{job}")
            wanted = "queued" if job == "CREATED" else FINALS.get(state, "running")
            assert (ours["state"], ours["status"]) == (wanted, state)
            if state == "JOB_STATE_COMPLETED":
                assert (got.blob.mime_type, got.blob.size) == ("video/mp4", 1_048_576)
                assert ours["result"] == BLOB
            if state == "JOB_STATE_FAILED":
                assert got.failure_code == "encoding_failure"
            await caller.call("DELETE", f"/v1/jobs/bluesky/{job}")  # or it is polled for ever
    client.request.close()


async def test_the_atproto_client_gets_the_end_in_one_call(shared: Shared, caller: Caller) -> None:
    """Its own loop over the states is not needed."""
    client = Client(base_url=f"{shared.system.url}/mirror/bluesky/final")
    client.request.add_additional_header("Authorization", BEARER["authorization"])
    states = iter(["JOB_STATE_CREATED", "JOB_STATE_ENCODING"])

    async def tell(_: str) -> web.Response:
        state = next(states, "JOB_STATE_COMPLETED")
        status = {"jobId": "END", "did": "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "state": state}
        return web.json_response({"jobStatus": status | EXTRAS.get(state, {})})

    async with Provider(shared.ports["bluesky"], tell) as provider:
        ask = client.app.bsky.video.get_job_status
        got = (await asyncio.to_thread(ask, {"job_id": "END"})).job_status
        assert got.state == "JOB_STATE_COMPLETED"
        assert len(provider.asked) == 3
        await caller.call("DELETE", "/v1/jobs/bluesky/END")
    client.request.close()


async def test_a_hundred_readers_of_two_receivers_cause_one_poll(
    plan: Callable[..., System],
) -> None:
    """At first sight, and again once the answer is too old for them."""
    port, other = free_port(), free_port()
    system = plan(hosted("bluesky", "bluesky", port))
    system.start("web", *WEB)
    system.start("web-2", *WEB, PORT=str(other))
    path = "/mirror/bluesky/xrpc/app.bsky.video.getJobStatus?jobId=ENCODING"
    url = f"http://127.0.0.1:{other}"
    async with (
        Provider(port, _bluesky) as provider,
        Caller(system.url) as one,
        Caller(url) as two,
        Redis.from_url(system.redis.url) as redis,
    ):
        for receiver in (one, two):
            await until_it(receiver.serves, 20, "the receivers answer")
        for polls in (1, 2):
            calls = [one.ask(path, cache_control="max-age=60") for _ in range(50)]
            calls += [two.ask(path, cache_control="max-age=60") for _ in range(50)]
            answers = await asyncio.gather(*calls)
            assert {answer.status for answer in answers} == {200}
            assert len(provider.asked) == polls
            (key,) = await redis.keys("*answer:*")
            last = LastAnswer.decode(await redis.get(key))
            await redis.set(key, last._replace(at=last.at - 61).encode() or b"", keepttl=True)


async def test_wistia_is_mirrored_in_its_own_shape(shared: Shared, caller: Caller) -> None:
    said = {"background_job_status": {"id": 197424, "status": "started"}}
    async with Provider(shared.ports["wistia"], says(said)) as provider:
        path = "/mirror/wistia/modern/background_job_status/197424"
        status, got = await caller.call("GET", path)
        ours = await caller.get("/v1/jobs/wistia/197424")
        await caller.call("DELETE", "/v1/jobs/wistia/197424")
    assert (status, got) == (200, said)
    assert type(got["background_job_status"]["id"]) is int
    assert provider.asked[0][1] == "/modern/background_job_status/197424"
    assert (ours["state"], ours["status"]) == ("running", "started")


async def test_trouble_at_first_sight_is_passed_on_and_makes_no_job(
    shared: Shared, caller: Caller
) -> None:
    async def tell(path: str) -> web.Response:
        status = int(path.rpartition("/")[2])
        return web.Response(text="theirs", status=status, headers={"Retry-After": "7"})

    async with Provider(shared.ports["wistia-bad"], tell):
        for theirs, ours in ((404, 404), (401, 502), (429, 429)):
            path = f"/mirror/wistia-bad/modern/background_job_status/{theirs}"
            answer = await caller.ask(path)
            assert answer.status == ours
            assert (answer.text == "theirs") is (theirs == ours)
            if theirs == 429:
                assert answer.headers["Retry-After"] == "7"
            assert (await caller.call("GET", f"/v1/jobs/wistia-bad/{theirs}"))[0] == 404


async def test_a_provider_that_hangs_makes_a_504(shared: Shared, caller: Caller) -> None:
    began = time.monotonic()
    async with Provider(shared.ports["wistia"], hang):
        path = "/mirror/wistia/modern/background_job_status/1"
        status, _ = await caller.call("GET", path)
    assert status == 504
    assert time.monotonic() - began <= 11.0
