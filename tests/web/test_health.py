"""/healthz, /readyz, /metrics: liveness, readiness, metrics; and draining."""

import asyncio
import re
import time
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from processor.errors import StoreUnavailable
from processor.job_durations import Durations
from processor.push_loss import PushLoss
from processor.service.runtime.metrics import Metrics
from processor.source_statistics import SourceStatistics
from processor.store.keys import STATISTICS

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


async def metrics(web: Web) -> dict[tuple[str, ...], float]:
    """All samples, by name and labels' values."""
    answer = await web("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(v for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_pushes_are_counted_by_their_result(web: Web) -> None:
    for _ in range(2):
        await web("POST", "/hooks/feed", content=push(), headers=signed(push()))
    await web("POST", "/hooks/feed", content=push(), headers=signed(b"another"))
    await web("POST", "/hooks/nobody", content=push(), headers=signed(push()))
    found = await metrics(web)
    pushes = {key[1:]: n for key, n in found.items() if key[0] == "ringback_pushes_total"}
    assert pushes == {("accepted", "web", "feed"): 1, ("duplicate", "web", "feed"): 1}
    refusals = {key[1:]: n for key, n in found.items() if key[0] == "ringback_pushes_refused_total"}
    assert refusals == {("web", "feed", "401"): 1, ("web", "", "404"): 1}


async def test_workers_and_backlogs_are_counted_too(web: Web) -> None:
    theirs = Metrics()
    theirs.polled("wistia", "answered")
    await web.context.store.heartbeat("w1", theirs.dump())
    await web.context.store.stall("wistia", "401")
    await web("POST", "/hooks/feed", content=push(), headers=signed(push()))
    found = await metrics(web)
    assert found["ringback_polls_total", "answered", "w1", "wistia"] == 1
    assert found["ringback_workers",] == 1
    assert found["ringback_backlog_items", "ingest"] == 1
    assert found["ringback_source_stalled", "wistia"] == 1
    (wistia,) = [s for s in await web.items("/v1/sources") if s["name"] == "wistia"]
    assert wistia["stalled"] == "401"


async def test_what_a_source_has_shown_is_shown(web: Web) -> None:
    loss = PushLoss(arrived=30.0, lost=10.0, poll_first=True)
    took = {"": Durations(((8.0, 12.0), (20.0, 20.0), (30.0, 30.0)))}
    text = msgspec.json.encode(SourceStatistics(await web.context.store.now(), loss, took))
    redis = web.context.store.connection.redis
    await redis.hset(STATISTICS, mapping={"asked": text, "removed": text})
    await redis.pexpire(STATISTICS, 10_000)
    sources = await web.items("/v1/sources")
    (learnt,) = next(source["learnt"] for source in sources if source["name"] == "asked")
    assert learnt.pop("first_poll") > 0
    assert learnt == {"kind": None, "jobs": 3, "median": 20.0, "shortest": 10.0}
    found = {source["name"]: source["push_loss"] for source in sources}
    assert found["asked"] == {"jobs": 40, "share": 0.25, "poll_first": True}
    assert (found["feed"], found["wistia"]["jobs"]) == (None, 0)
    samples = await metrics(web)
    assert samples["ringback_push_loss", "asked"] == 0.25
    assert samples["ringback_source_poll_first", "asked"] == 1
    assert ("ringback_push_loss", "removed") not in samples


async def test_an_unusable_source_shows_what_it_lacks(web: Web) -> None:
    found = {source["name"]: source["lacks"] for source in await web.items("/v1/sources")}
    assert found["anyones"] is not None
    assert "set its senders" in found["anyones"]
    assert "no [poll]" in found["anyones"]
    assert found["unsigned"] is None  # it can be polled


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
