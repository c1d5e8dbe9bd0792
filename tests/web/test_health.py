"""/healthz, /readyz, /v1/sources: liveness, readiness, sources; and draining."""

import asyncio
import re
import time
from typing import Any

import httpx
import pytest

from processor.errors import StoreUnavailable
from processor.service.runtime.metrics import Metrics

from .calling import Served, Web, refused
from .pushing import push, signed

STREAM = {"accept": "text/event-stream"}


async def test_alive_needs_no_redis(web_of: Any) -> None:
    web = await web_of(away=True)
    answer = await web("GET", "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})


async def lacks(web: Web) -> list[str]:
    answer = await web("GET", "/readyz")
    detail: dict[str, Any] = answer.json()
    assert (answer.status_code == 200) is detail["ready"] is (not detail["lacks"])
    assert answer.status_code in (200, 503)
    found: list[str] = detail["lacks"]
    return found


async def test_concurrent_readiness_calls_share_one_check(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def writable() -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(web.context.store, "writable", writable)
    await web.context.store.heartbeat("w1", Metrics().dump())
    await web.health.redis_check.check()  # else its warnings come in between
    answers = await asyncio.gather(*(web("GET", "/readyz") for _ in range(50)))
    assert len({answer.text for answer in answers}) == 1
    assert looks == 1


async def test_ready_needs_a_writable_redis_and_a_live_worker(web: Web) -> None:
    assert "worker" in (await lacks(web))[0]
    await web.context.store.heartbeat("w1", Metrics().dump())
    assert await lacks(web) == []
    web.health.drain()
    assert "draining" in (await lacks(web))[0]


async def test_before_redis_has_answered_only_healthz_is_served(web: Web) -> None:
    web.health.checked = False
    assert (await web("GET", "/healthz")).status_code == 200
    for path in ("/readyz", "/v1/jobs", "/metrics", "/openapi.json"):
        assert int((await web("GET", path)).headers["retry-after"]) > 0
        refused(await web("GET", path), 503)
    refused(await web("POST", "/hooks/feed", content=push(), headers=signed(push())), 503)


async def test_without_redis_it_is_not_ready(web_of: Any) -> None:
    assert "Redis" in (await lacks(await web_of(away=True)))[0]


async def test_an_unusable_source_shows_what_it_lacks(web: Web) -> None:
    found = {source["name"]: source["lacks"] for source in await web.items("/v1/sources")}
    assert found["anyones"] is not None
    assert "set its senders" in found["anyones"]
    assert "no [poll]" in found["anyones"]
    assert found["unsigned"] is None  # it can be polled


async def test_sources_are_listed_page_by_page_or_all_at_once(web: Web) -> None:
    every = await web.items("/v1/sources")
    params: dict[str, Any] = {"limit": 2}
    found: list[Any] = []
    while params.get("cursor", "first"):
        page = (await web("GET", "/v1/sources", params=params)).json()
        assert 1 <= len(page["items"]) <= 2
        found, params = found + page["items"], params | {"cursor": page["next"]}
    assert found == every


async def test_sources_show_their_pushes_and_polls(web: Web) -> None:
    found = {source.pop("name"): source for source in await web.items("/v1/sources")}
    assert found["feed"] == {
        "provider": "standard",
        "push": "/hooks/feed",
        "scheme": "standard-webhooks",
        "track": "all",
        "trust": "event",
        "poll": False,
        "mirror": [],
        "lacks": None,
        "stalled": None,
        "poll_error": None,
        "failing_polls": 0,
        "push_loss": None,
        "learnt": [],
    }
    assert found["bluesky"] == {
        "provider": "bluesky",
        "push": None,
        "scheme": None,
        "track": "all",
        "trust": "event",
        "poll": True,
        "lacks": None,
        "stalled": None,
        "poll_error": None,
        "failing_polls": 0,
        "push_loss": None,
        "learnt": [],
        "mirror": [
            "/mirror/bluesky/xrpc/app.bsky.video.getJobStatus?jobId={id}",
            "/mirror/bluesky/xrpc/app.bsky.video.getUploadStatus?jobId={id}",
        ],
    }
    assert (found["unsigned"]["push"], len(found["wistia"]["mirror"])) == (None, 2)


# --- draining -------------------------------------------------------------------------------


async def test_streams_and_waits_end_when_the_process_drains(web: Web, served: Served) -> None:
    await web.push("1", "running")
    waiting = asyncio.create_task(served.client.get("/v1/jobs/feed/1?wait=60"))
    async with served.client.stream("GET", "/v1/events", headers=STREAM) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 3000"
        assert (await anext(lines)).startswith("id: ")
        await served.client.get("/v1/jobs/feed/1?wait=0.05")  # so the one before has been read
        began = time.monotonic()
        served.task.cancel()
        answer = await waiting
        assert [line async for line in lines] == [""]
        await served.task
    assert time.monotonic() - began < 3
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    with pytest.raises(httpx.ConnectError):
        await served.client.get("/healthz")


async def test_a_stream_that_begins_while_draining_ends_at_once(web: Web) -> None:
    web.health.drain()
    answer = await asyncio.wait_for(web("GET", "/v1/events", headers=STREAM), 2)
    assert answer.status_code == 200
    assert re.fullmatch(r"retry: 3000\nid: \S+\n\n", answer.text)
    await web("PUT", "/v1/jobs/feed/1", {})
    waited = await asyncio.wait_for(web("GET", "/v1/jobs/feed/1?wait=60"), 2)
    assert waited.json()["state"] == "queued"


async def test_a_stream_with_many_events_ends_when_the_process_drains(
    web: Web, monkeypatch: Any
) -> None:
    monkeypatch.setattr("processor.web.stream.MAX_EVENTS_READ", 1)
    for number in range(3):
        await web.push(f"j{number}", "succeeded")
    cursor = (await web("GET", "/v1/events?limit=1")).json()["next"]
    web.health.drain()
    answer = await web("GET", f"/v1/events?after={cursor}", headers=STREAM)
    assert "j2" not in answer.text


async def test_a_redis_outage_ends_a_wait_with_503(web: Web, monkeypatch: Any) -> None:
    await web("PUT", "/v1/jobs/feed/1", {})
    monkeypatch.setattr(web.context.store.events, "end", away)
    refused(await asyncio.wait_for(web("GET", "/v1/jobs/feed/1?wait=60"), 2), 503)


async def away() -> None:
    raise StoreUnavailable("Redis is away")
