"""Polls of the mirror stay within the source's concurrency and budget; without a key it watches no job."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web as aio

from processor.errors import Overloaded
from processor.model import Origin, State, StatusUpdate
from processor.provider import PollFailure
from processor.service.events.tail import Tailer
from processor.service.polling import mirror as polling_mirror, mirror_poll, poll
from processor.service.polling.mirror import Mirror, Reader
from processor.service.polling.mirror_poll import MAX_IN_FLIGHT_WITHOUT_KEY
from processor.shared_calls import SharedCalls
from processor.store.work_items import NOW, Busy, Claim, LaneLimits, Settlement, WorkItem

from .calling import Web, refused
from .test_mirror_age import age

STATUS = "/xrpc/app.bsky.video.getJobStatus"
OPEN = f"/mirror/open{STATUS}"
LASTS = polling_mirror._lasts
ENCODING = {"jobId": "abc", "state": "JOB_STATE_ENCODING"}


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, no question and no answer is too old."""
    monkeypatch.setattr(mirror_poll, "POLL_TIMEOUT", 60.0)
    monkeypatch.setattr(poll, "TIMEOUT", 60.0)
    monkeypatch.setattr(polling_mirror, "_lasts", lambda *_: 60.0)


class Slow:
    """A provider whose responses wait for the test, and that counts the waiting calls."""

    def __init__(self, provider: Any) -> None:
        self.go, self.now, self.most, self.asked = asyncio.Event(), 0, 0, 0
        provider.says = self.answer

    async def answer(self) -> aio.Response:
        self.now, self.asked = self.now + 1, self.asked + 1
        self.most = max(self.most, self.now)
        await self.go.wait()
        self.now -= 1
        return aio.json_response(ENCODING)


async def crowd(web: Web, wait_until: Any, slow: Slow, paths: list[str], asked: int) -> list[Any]:
    """Call all at the same time without a key; the answers."""
    calls = [asyncio.create_task(web.without_key("GET", path)) for path in paths]
    await wait_until(lambda: slow.now + sum(call.done() for call in calls) >= asked, 30)
    slow.go.set()
    return await asyncio.gather(*calls)


@pytest.mark.parametrize("shards", ["1", "4"])
async def test_polls_for_callers_without_a_key_have_a_concurrency_limit(
    web_of: Any, provider: Any, wait_until: Any, shards: str
) -> None:
    web = await web_of(RINGBACK_SHARDS=shards)
    slow, count = Slow(provider), 80
    paths = [f"{OPEN}?jobId=x{number}" for number in range(count)]
    answers = await crowd(web, wait_until, slow, paths, count)
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == slow.most == slow.asked == MAX_IN_FLIGHT_WITHOUT_KEY < poll.MAX_IN_FLIGHT
    for answer in answers:
        if answer.status_code != 200:
            refused(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
    assert await web.items("/v1/jobs") == []


async def test_concurrent_mirror_calls_for_a_job_share_one_poll(
    web: Web, provider: Any, wait_until: Any
) -> None:
    slow = Slow(provider)
    answers = await crowd(web, wait_until, slow, [f"{OPEN}?jobId=abc"] * 100, 1)
    assert {answer.status_code for answer in answers} == {200}
    assert slow.asked == 1


async def test_concurrent_mirror_calls_with_a_key_share_a_poll_and_watch_the_job_once(
    web: Web, provider: Any, wait_until: Any
) -> None:
    slow = Slow(provider)
    path = f"/mirror/bluesky{STATUS}?jobId=abc"
    calls = [asyncio.create_task(web("GET", path)) for _ in range(100)]
    await wait_until(lambda: slow.now == 1, 30)
    slow.go.set()
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    assert slow.asked == 1
    assert len((await web("GET", "/v1/jobs/bluesky/abc/history")).json()["items"]) == 1


async def test_mirror_calls_without_a_key_watch_no_job_and_reuse_the_response(
    web: Web, provider: Any
) -> None:
    provider.tell(json.dumps(ENCODING))
    for _ in range(20):
        assert (await web.without_key("GET", f"{OPEN}?jobId=abc")).json() == ENCODING
    assert len(provider.asked) == 1
    assert await web.items("/v1/jobs") == []
    assert (await web("GET", f"{OPEN}?jobId=abc")).json() == ENCODING  # with a key it is
    assert len(await web.items("/v1/jobs")) == 1
    for _ in range(5):
        assert (await web.without_key("GET", f"{OPEN}?jobId=abc")).json() == ENCODING
    assert len(provider.asked) == 2


async def test_mirror_calls_for_a_watched_job_cause_no_poll(web: Web, provider: Any) -> None:
    provider.tell(json.dumps(ENCODING))
    await web("GET", f"{OPEN}?jobId=abc")
    for _ in range(50):
        assert (await web.without_key("GET", f"{OPEN}?jobId=abc")).status_code == 200
    assert len(provider.asked) == 1


@pytest.mark.parametrize("status", [404, 400, 429, 500])
async def test_an_error_of_the_provider_is_reused_for_a_while(
    web: Web, provider: Any, status: int
) -> None:
    provider.tell("no", status)
    for _ in range(20):
        assert (await web.without_key("GET", f"{OPEN}?jobId=abc")).status_code == status
        assert (await web("GET", f"{OPEN}?jobId=abc")).status_code == status
    assert len(provider.asked) == 1
    assert await web.items("/v1/jobs") == []


async def test_a_refusal_is_forgotten(
    web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling_mirror, "_lasts", lambda *_: 0.0)
    provider.tell("no", 404)
    refused_first = await web("GET", f"{OPEN}?jobId=abc")
    provider.tell(json.dumps(ENCODING))
    assert refused_first.status_code == 404
    assert (await web("GET", f"{OPEN}?jobId=abc")).status_code == 200


async def test_sequential_mirror_calls_use_at_most_half_the_burst(web: Web, provider: Any) -> None:
    """Wistia's budget is 600 a minute: 60 at once, and then nine a second."""
    provider.tell(json.dumps({"background_job_status": {"id": 9, "status": "started"}}))
    mirror, wistia = (
        Mirror(web.context, Tailer(web.context.store)),
        web.context.settings.sources["wistia"],
    )
    begun, refusals = await web.context.store.now(), list[str]()
    for number in range(150):
        try:
            await mirror.read(wistia, str(number), Reader(has_key=False))
        except Overloaded as error:
            refusals.append(str(error))
    flowed = (await web.context.store.now() - begun) * 9
    assert all("rate limit" in refusal for refusal in refusals)
    assert len(provider.asked) == 150 - len(refusals)
    assert len(provider.asked) <= 30 + flowed + 1
    await mirror.read(
        wistia, "mine", Reader(has_key=True)
    )  # the other half is for callers with a key


async def test_polls_in_progress_reduce_the_mirrors_share(web: Web, provider: Any) -> None:
    provider.tell(json.dumps(ENCODING))
    store = web.context.store
    keys, held = store.shards[0], []
    for number in range(poll.MAX_IN_FLIGHT):
        claim = await store.backlogs.admit(keys, "poll", ("open", f"?{number}"), 64)
        assert isinstance(claim, Claim)
        held.append(Settlement(claim, requires_token=True))
        if number == MAX_IN_FLIGHT_WITHOUT_KEY:
            refused(await web.without_key("GET", f"{OPEN}?jobId=abc"), 503)
            assert (await web("GET", f"{OPEN}?jobId=abc")).status_code == 200
    refused(await web("GET", f"{OPEN}?jobId=other"), 503)
    assert len(provider.asked) == 1
    await store.backlogs.settle(held)
    assert (await web("GET", f"{OPEN}?jobId=other")).status_code == 200


async def test_a_shard_has_its_part_of_the_polls_that_the_mirror_may_make(
    web_of: Any, provider: Any
) -> None:
    web = await web_of(RINGBACK_SHARDS="4")
    provider.tell(json.dumps(ENCODING))
    store = web.context.store
    keys = store.shard("open", "abc")
    for number in range(poll.MAX_IN_FLIGHT // 4):
        claim = await store.backlogs.admit(keys, "poll", ("open", f"?{number}"), 64)
        assert isinstance(claim, Claim)
    refused(await web("GET", f"{OPEN}?jobId=abc"), 503)
    assert provider.asked == []


RECENT = f"/mirror/recent{STATUS}?jobId=abc"


async def test_a_stranger_at_its_limit_does_not_keep_a_caller_with_a_key_from_a_refresh(
    web: Web, provider: Any
) -> None:
    provider.tell(json.dumps(ENCODING | {"progress": 1}))
    assert (await web("GET", RECENT)).status_code == 200
    provider.tell(json.dumps(ENCODING | {"progress": 2}))
    await age(web, 500, "recent/abc")
    backlogs, keys, held = web.context.store.backlogs, web.context.store.shards[0], []
    for number in range(MAX_IN_FLIGHT_WITHOUT_KEY):  # other strangers' polls, which hang
        claim = await backlogs.admit(keys, "poll", ("recent", f"?{number}"), 64)
        assert isinstance(claim, Claim)
        held.append(Settlement(claim, requires_token=True))
    stale = await web.without_key("GET", RECENT)
    assert (stale.json()["progress"], len(provider.asked)) == (1, 1)
    fresh = await web("GET", RECENT, headers={"cache-control": "no-cache"})
    assert (fresh.json()["progress"], len(provider.asked)) == (2, 2)
    await backlogs.settle(held)


async def test_a_paused_source_is_not_polled_by_the_mirror(web: Web, provider: Any) -> None:
    store = web.context.store
    await store.backlogs.pause("poll", "open", await store.now() + 60)
    provider.tell(json.dumps(ENCODING))
    refused(await web("GET", f"{OPEN}?jobId=abc"), 503)
    assert provider.asked == []


async def test_a_key_is_not_refused_for_those_without(
    web: Web, provider: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call with a key joins a poll of a call without one, and the job is watched."""
    slow, sharing, run = Slow(provider), [], SharedCalls.run

    async def counted(self: Any, key: Any, work: Any) -> Any:
        sharing.append(key)
        return await run(self, key, work)

    monkeypatch.setattr(SharedCalls, "run", counted)
    stranger = asyncio.create_task(web.without_key("GET", f"{OPEN}?jobId=abc"))
    await wait_until(lambda: slow.now == 1, 30)
    mine = asyncio.create_task(web("GET", f"{OPEN}?jobId=abc"))
    await wait_until(lambda: len(sharing) == 2, 30)
    slow.go.set()
    assert (await stranger).status_code == (await mine).status_code == 200
    assert slow.asked == 1
    assert len(await web.items("/v1/jobs")) == 1


async def test_an_admission_is_released_after_errors_too(web: Web, provider: Any) -> None:
    for status in (200, 401, 404, 500):
        provider.tell(json.dumps(ENCODING), status)
        await web("GET", f"{OPEN}?jobId=j{status}")
    keys = web.context.store.shards[0]
    held = keys.claimed("poll", "open")
    assert await web.context.store.connection.redis.zcard(held) == 0


async def test_an_unreleased_admission_ends_with_its_lease(store_of: Any, wait_until: Any) -> None:
    store = store_of(lease=0.5)
    keys, place = store.shards[0], ("open", "?open/1")
    assert isinstance(await store.backlogs.admit(keys, "poll", place, 1), Claim)
    full = await store.backlogs.admit(keys, "poll", ("open", "?open/2"), 1)
    again = await store.backlogs.admit(keys, "poll", place, 1)
    assert isinstance(full, Busy)
    assert isinstance(again, Busy)
    assert (full.reason, again.reason) == ("full", "claimed")

    async def free() -> bool:
        assert await store.backlogs.claim(keys, "poll", 9, lambda _: LaneLimits(1)) == []
        return not await store.connection.redis.exists(keys.claimed("poll", "open"))

    await wait_until(free)


async def test_admissions_and_claims_share_their_capacity(store_of: Any) -> None:
    store = store_of()
    keys, polls = store.shards[0], [WorkItem("poll", "a", f"a/{n}", NOW, b"0") for n in "12"]
    assert isinstance(await store.backlogs.admit(keys, "poll", ("a", "?a/1"), 1), Claim)
    await store.backlogs.enqueue_new(keys, polls)
    (claim,) = await store.backlogs.claim(keys, "poll", 9, lambda _: LaneLimits(2))
    assert isinstance(await store.backlogs.admit(keys, "poll", ("a", "?a/2"), 2), Busy)
    await store.backlogs.settle([Settlement(claim)])
    assert isinstance(await store.backlogs.admit(keys, "poll", ("a", "?a/2"), 2), Claim)


def test_an_answer_lasts_until_a_first_poll_would_be_due(web: Web) -> None:
    source = web.context.settings.sources["bluesky"]
    trouble, running = PollFailure("failed", "no", None), State.RUNNING
    update = StatusUpdate("bluesky", "1", "x", running, 0.0, Origin.POLL)
    assert LASTS(source, "1", trouble) == polling_mirror.FAILURE_LASTS == 5
    assert LASTS(source, "1", update) == 1.5
