"""/mirror: the provider's own status call, for SDKs that know no other."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web as aio

from processor.service.polling import mirror_poll

from .calling import Web, refused

ENCODING = {"jobStatus": {"jobId": "abc", "did": "did:plc:x", "state": "JOB_STATE_ENCODING"}}
BLUESKY = "/mirror/bluesky/xrpc/app.bsky.video.getJobStatus"
WISTIA = "/mirror/wistia/modern"
KEYS = {"RINGBACK_API_KEYS": "k1,k2"}


async def test_first_sight_watches_asks_and_keeps(web: Web, provider: Any) -> None:
    said = json.dumps(ENCODING, indent=1)
    provider.tell(said, 200, Content_Type="application/json; charset=utf-8")
    for _ in range(2):
        answer = await web("GET", f"{BLUESKY}?jobId=abc")
        assert (answer.status_code, answer.text) == (200, said)  # byte for byte
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert [path for path, _ in provider.asked] == ["/xrpc/app.bsky.video.getJobStatus?jobId=abc"]
    job = (await web("GET", "/v1/jobs/bluesky/abc")).json()
    assert (job["state"], job["status"]) == ("running", "JOB_STATE_ENCODING")
    assert job["next_poll_at"]


async def test_a_409_with_a_status_is_mirrored_with_its_code(web: Web, provider: Any) -> None:
    """Bluesky answers 409 for a video that is already there, and that is a success."""
    done = {"jobId": "abc", "state": "JOB_STATE_COMPLETED", "error": "already_exists"}
    provider.tell(json.dumps(done), 409)
    for _ in range(2):
        assert (await web("GET", f"{BLUESKY}?jobId=abc")).status_code == 409
    assert len(provider.asked) == 1
    assert (await web("GET", "/v1/jobs/bluesky/abc")).json()["state"] == "succeeded"


async def test_each_kind_has_its_own_path(web: Web, provider: Any) -> None:
    provider.tell(json.dumps({"id": 5, "hashed_id": "m1", "status": "ready", "progress": 1}))
    assert (await web("GET", f"{WISTIA}/medias/m1")).status_code == 200
    provider.tell(json.dumps({"background_job_status": {"id": 9, "status": "started"}}))
    assert (await web("GET", f"{WISTIA}/background_job_status/9")).status_code == 200
    assert {job["id"] for job in await web.items("/v1/jobs")} == {"media:m1", "9"}


async def test_the_callers_token_is_never_forwarded(web_of: Any, provider: Any) -> None:
    web = await web_of(**KEYS)
    provider.tell(json.dumps({"background_job_status": {"id": 9, "status": "started"}}))
    ours = {"authorization": "Bearer k2"}
    assert (await web("GET", f"{WISTIA}/background_job_status/9", headers=ours)).is_success
    provider.tell(json.dumps(ENCODING))
    assert (await web("GET", f"{BLUESKY}?jobId=abc", headers=ours)).is_success
    assert [token for _, token in provider.asked] == ["Bearer made-up", None]


@pytest.mark.parametrize(
    ("theirs", "ours"), [(404, 404), (400, 400), (429, 429), (500, 500), (401, 502), (403, 403)]
)
async def test_a_refusal_makes_no_job(web: Web, provider: Any, theirs: int, ours: int) -> None:
    provider.tell("theirs", theirs, Retry_After="7", Content_Type="text/plain")
    answer = await web("GET", f"{WISTIA}/background_job_status/9")
    assert answer.status_code == ours
    assert (answer.text == "theirs") is (theirs == ours)
    if ours == theirs:
        assert answer.headers["content-type"] == "text/plain"
        assert answer.headers["retry-after"] == "7"
    else:
        assert "token" in refused(answer, ours)
    refused(await web("GET", "/v1/jobs/wistia/9"), 404)


async def test_a_403_that_says_no_time_refuses_our_token(web: Web, provider: Any) -> None:
    provider.tell("theirs", 403, Content_Type="text/plain")
    assert "token" in refused(await web("GET", f"{WISTIA}/background_job_status/9"), 502)


async def test_a_content_type_that_cannot_be_sent_is_left_out(web: Web, provider: Any) -> None:
    """As the bytes are that are not UTF-8, which we read as U+FFFD."""
    provider.tell(json.dumps(ENCODING), Content_Type="application/json; x=caf\ufffd")
    for _ in range(2):
        answer = await web("GET", f"{BLUESKY}?jobId=abc")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


async def test_an_answer_that_breaks_off_is_502(web: Web, provider: Any) -> None:
    """Half an answer with the code of a whole one would be taken for it."""

    async def cut() -> aio.Response:
        body = json.dumps(ENCODING).encode()
        return aio.Response(body=body, headers={"transfer-encoding": "chunked", "x y": "1"})

    provider.says = cut
    answer = await web("GET", f"{BLUESKY}?jobId=abc")
    assert "not valid HTTP" in refused(answer, 502)
    refused(await web("GET", "/v1/jobs/bluesky/abc"), 404)


async def test_a_provider_that_hangs_is_504(
    web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = asyncio.Event()

    async def hang() -> aio.Response:
        await response.wait()
        return aio.Response()

    monkeypatch.setattr(mirror_poll, "POLL_TIMEOUT", 0.1)
    provider.says = hang
    answer = await web("GET", f"{BLUESKY}?jobId=abc")
    response.set()
    refused(answer, 504)
    refused(await web("GET", "/v1/jobs/bluesky/abc"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/mirror/nobody/xrpc/app.bsky.video.getJobStatus?jobId=abc",
        "/mirror/feed/jobs/1",
        "/mirror/bluesky/",
        BLUESKY,
        f"{BLUESKY}?jobId=",
        f"{BLUESKY}?jobId=a&jobId=b",
        f"{BLUESKY}?jobId=a/b",
        f"{BLUESKY}?did=a&jobId=b",
        f"{WISTIA}/background_job_status/9?page=2",
        f"{WISTIA}/background_job_status/",
        f"{WISTIA}/background_job_status/9/x",
        f"{WISTIA}/medias",
        "/mirror/wistia/final/medias/x",
        "/mirror/wistia/final/final/modern/medias/x",
    ],
)
async def test_only_the_status_call_is_mirrored(web: Web, provider: Any, path: str) -> None:
    refused(await web("GET", path), 404)
    assert provider.asked == []


@pytest.mark.parametrize("raw", ["%2e%2e", "a%00b", "%ff", "%C2%85", "x" * 513])
async def test_a_bad_id_is_422(web: Web, provider: Any, raw: str) -> None:
    refused(await web("GET", f"{BLUESKY}?jobId={raw}"), 422)
    refused(await web("GET", f"{WISTIA}/medias/{raw}"), 422)
    assert provider.asked == []


async def test_a_percent_encoded_id_stays_encoded_in_the_poll(web: Web, provider: Any) -> None:
    said = {"jobStatus": {"jobId": "a/b?c", "state": "JOB_STATE_ENCODING"}}
    provider.tell(json.dumps(said))
    assert (await web("GET", f"{BLUESKY}?jobId=a%2Fb%3Fc")).status_code == 200
    assert (await web("GET", "/v1/jobs/bluesky/a%2Fb%3Fc")).json()["id"] == "a/b?c"
    assert provider.asked[0][0].endswith("?jobId=a%2Fb%3Fc")
