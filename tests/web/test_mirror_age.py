"""An answer of the mirror that is too old for its reader is refreshed by one poll, whoever reads it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web as aio

from processor.config import load
from processor.model import HttpResponse, Origin, State, StatusUpdate
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.polling import mirror_poll, poll as polling
from processor.service.polling.last_answer import LastAnswer
from processor.shared_calls import SharedCalls
from processor.store import connection, watchdog
from processor.store.work_items import Claim, LaneLimits

from .calling import KEY, Web, refused

STATUS = "/xrpc/app.bsky.video.getJobStatus?jobId=abc"
BLUESKY, RECENT = f"/mirror/bluesky{STATUS}", f"/mirror/recent{STATUS}"
NO_CACHE = {"cache-control": "no-cache"}


def encoding(progress: int) -> str:
    return json.dumps({"jobId": "abc", "state": "JOB_STATE_ENCODING", "progress": progress})


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: also a Redis that waits for its disk counts as one that answers."""
    monkeypatch.setattr(mirror_poll, "POLL_TIMEOUT", 120.0)
    monkeypatch.setattr(polling, "TIMEOUT", 60.0)
    monkeypatch.setattr(connection, "TIMEOUT", 60.0)
    monkeypatch.setattr(watchdog, "SILENT_AFTER", 60.0)


async def age(web: Web, seconds: float, job: str = "bluesky/abc") -> None:
    """Make the stored answer about a job so much older."""
    store = web.context.store
    keys, redis = store.shards[0], store.connection.redis
    found = await store.jobs.answer(keys, job)
    assert found is not None
    last = LastAnswer.decode(found)
    older = last._replace(at=last.at - seconds).encode()
    assert older is not None
    await redis.set(keys.answer(job), older, keepttl=True)


async def read(web: Web, path: str = BLUESKY, **headers: str) -> tuple[int, int]:
    """The progress that the mirror answers, and its age."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await web("GET", path, headers=named)
    assert answer.status_code == 200, answer.text
    return answer.json()["progress"], int(answer.headers["age"])


async def watched(web: Web, provider: Any, path: str = BLUESKY) -> None:
    """Have the job watched, by a first read; the next poll answers something else."""
    provider.tell(encoding(1))
    assert (await read(web, path))[0] == 1
    provider.tell(encoding(2))


async def test_an_answer_says_how_old_it_is_and_is_given_at_any_age_by_default(
    web: Web, provider: Any
) -> None:
    await watched(web, provider)
    await age(web, 500)
    progress, seconds = await read(web)
    assert progress == 1
    assert 500 <= seconds < 560
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("asked", "polls"),
    [
        ("max-age=600", 1),
        ("max-age=100", 2),
        ("no-cache", 2),
        ("no-store, max-age=100 , must-revalidate", 2),
        ('max-age="100"', 2),
        ("MAX-AGE=0", 2),
        ("max-age=600, max-age=100", 2),
        ("max-age", 1),
        ("max-age=-1", 1),
        ("x-max-age=100", 1),
        ("no-cache-please", 1),
    ],
)
async def test_a_reader_with_a_key_says_how_old_an_answer_may_be(
    web: Web, provider: Any, asked: str, polls: int
) -> None:
    await watched(web, provider)
    await age(web, 500)
    progress, seconds = await read(web, cache_control=asked)
    assert len(provider.asked) == progress == polls
    assert (seconds < 60) is (polls == 2)


async def test_a_refreshed_answer_is_committed(web: Web, provider: Any) -> None:
    await watched(web, provider)
    provider.tell(json.dumps({"jobId": "abc", "state": "JOB_STATE_COMPLETED", "progress": 3}))
    await read(web, cache_control="no-cache")
    assert (await web("GET", "/v1/jobs/bluesky/abc")).json()["state"] == "succeeded"
    assert (await read(web))[0] == 3
    assert len(provider.asked) == 2


async def test_a_source_says_it_for_all_its_readers(web: Web, provider: Any) -> None:
    await watched(web, provider, RECENT)
    await age(web, 30, "recent/abc")
    assert (await web.without_key("GET", RECENT)).json()["progress"] == 1
    await age(web, 31, "recent/abc")
    refreshed = await web.without_key("GET", RECENT)
    assert (refreshed.json()["progress"], len(provider.asked)) == (2, 2)
    assert int(refreshed.headers["age"]) < 30


async def test_a_reader_without_a_key_cannot_ask_for_more(web: Web, provider: Any) -> None:
    await watched(web, provider, RECENT)
    for _ in range(3):
        answer = await web.without_key("GET", RECENT, headers=NO_CACHE)
        assert answer.json()["progress"] == 1
    assert len(provider.asked) == 1


@pytest.mark.parametrize("trouble", ["500", "404", "429", "401", "cut", "full", "paused"])
async def test_without_a_refresh_the_last_answer_is_given_with_its_age(
    web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    await watched(web, provider)
    await age(web, 500)
    store = web.context.store
    if trouble.isdigit():
        provider.tell("no", int(trouble), Retry_After="7")
    if trouble == "cut":

        async def cut() -> aio.Response:
            raise ConnectionResetError

        provider.says = cut
    keys, held = store.shards[0], 0
    if trouble == "full":
        held = 1
        monkeypatch.setattr(polling, "MAX_IN_FLIGHT", held)
        assert isinstance(await store.backlogs.admit(keys, "poll", ("bluesky", "?x"), held), Claim)
    if trouble == "paused":
        await store.backlogs.pause("poll", "bluesky", await store.now() + 60)
    for _ in range(2):
        answer = await web("GET", BLUESKY, headers=NO_CACHE)
        assert (answer.status_code, answer.json()["progress"]) == (200, 1)
        assert int(answer.headers["age"]) >= 500
    assert len(provider.asked) <= 2  # the first read, and one failure that counts for a while
    assert await store.connection.redis.zcard(keys.claimed("poll", "bluesky")) == held


async def test_a_hanging_provider_holds_a_reader_for_the_timeout_only(
    web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched(web, provider)
    response = asyncio.Event()

    async def hang() -> aio.Response:
        await response.wait()
        return aio.Response()

    provider.says = hang
    monkeypatch.setattr(mirror_poll, "POLL_TIMEOUT", 0.1)
    assert (await read(web, cache_control="no-cache"))[0] == 1
    response.set()


async def test_an_answer_of_an_older_version_has_no_age_and_is_refreshed(
    web: Web, provider: Any
) -> None:
    await watched(web, provider, RECENT)
    store = web.context.store
    old = LastAnswer(200, "application/json", encoding(1).encode()).encode()
    assert old is not None
    await store.connection.redis.set(store.shards[0].answer("recent/abc"), old, keepttl=True)
    provider.tell("no", 500)
    stale = await web("GET", RECENT)
    assert "age" not in stale.headers
    assert stale.json()["progress"] == 1


async def test_a_refresh_is_conditional_where_the_provider_takes_that(
    web_of: Any, provider: Any, redis_url: str, tmp_path: Path
) -> None:
    table = f"""
[sources.actions]
provider = "github"
base_url = "{provider.url}"
token = "made-up"
params = {{ repo = "me/it" }}
"""
    (tmp_path / "github.toml").write_text(table)
    environ = {"REDIS_URL": redis_url, "RINGBACK_API_KEYS": KEY}
    web = await web_of(settings=load(tmp_path / "github.toml", environ))
    run = json.dumps({"id": 1, "status": "in_progress", "conclusion": None, "run_attempt": 1})
    provider.tell(run, Etag='"one"')
    path = "/mirror/actions/repos/me/it/actions/runs/1"
    assert (await web("GET", path)).text == run
    await age(web, 100, "actions/1")
    provider.tell("", 304)
    answer = await web("GET", path, headers=NO_CACHE)
    assert (answer.status_code, answer.text, len(provider.asked)) == (200, run, 2)
    assert provider.headers[-1]["If-None-Match"] == '"one"'
    assert int(answer.headers["age"]) < 60


async def test_a_job_is_polled_with_its_params_and_under_its_id(web: Web, provider: Any) -> None:
    provider.tell(encoding(1))
    await web("PUT", "/v1/jobs/bluesky/abc", {"aliases": ["other"]})
    other = BLUESKY.replace("abc", "other")
    assert (await read(web, other))[0] == 1
    assert [path.rpartition("=")[2] for path, _ in provider.asked] == ["abc"]


async def test_a_push_that_ended_the_job_outdates_an_answer(web: Web, provider: Any) -> None:
    await watched(web, provider)
    await pushed(web, State.SUCCEEDED)
    provider.tell(json.dumps({"jobId": "abc", "state": "JOB_STATE_COMPLETED", "progress": 3}))
    assert (await read(web))[0] == 3
    assert (await read(web))[0] == 3
    assert len(provider.asked) == 2


async def test_a_provider_that_lags_behind_its_push_is_not_polled_by_every_reader(
    web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched(web, provider)
    await pushed(web, State.FAILED)
    poll = web.context.settings.sources["bluesky"].poll(None)
    assert poll is not None
    monkeypatch.setitem(
        web.context.settings.sources["bluesky"].__dict__,
        "_polls",
        {None: msgspec.structs.replace(poll, every=(60.0, 60.0))},
    )
    for _ in range(9):
        assert (await read(web))[0] == 2
    assert len(provider.asked) <= 3


# --- many readers ---------------------------------------------------------------------------


@pytest.mark.timeout(300)
async def test_a_hundred_readers_of_two_processes_share_one_poll(
    served_of: Any, provider: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first sight, and again to refresh the answer."""
    one, two, sharing, run = await served_of(), await served_of(), [], SharedCalls.run

    async def counted(self: Any, key: Any, call: Any) -> Any:
        sharing.append(key)
        return await run(self, key, call)

    monkeypatch.setattr(SharedCalls, "run", counted)
    for progress in (1, 2):
        sharing.clear()
        provider.says, go = held(progress)
        readers = [
            asyncio.create_task(process.client.get(BLUESKY, headers=NO_CACHE))
            for process in (one, two)
            for _ in range(50)
        ]
        await wait_until(lambda: len(sharing) == 100, 60)
        await wait_until(lambda count=progress: len(provider.asked) == count, 60)
        go.set()
        answers = await asyncio.gather(*readers)
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["progress"] for answer in answers} == {progress}
        assert len(provider.asked) == progress
    history = await one.client.get("/v1/jobs/bluesky/abc/history")
    assert len(history.json()["items"]) == 2


def held(progress: int) -> tuple[Any, asyncio.Event]:
    """An answer that waits, and what it waits for."""
    go = asyncio.Event()

    async def answer() -> aio.Response:
        await go.wait()
        return aio.Response(text=encoding(progress))

    return answer, go


async def test_a_poll_of_a_dead_process_holds_others_until_its_lease_ends(
    web_of: Any, settings_of: Any, provider: Any, store_of: Any
) -> None:
    web = await web_of(RINGBACK_LEASE="1s")
    store = store_of(lease=0.5)
    claim = await store.backlogs.admit(store.shards[0], "poll", ("bluesky", "?bluesky/abc"), 64)
    assert isinstance(claim, Claim)  # and its process has died
    provider.tell(encoding(1))
    assert (await read(web))[0] == 1
    assert len(provider.asked) == 1


# --- a token from a command -----------------------------------------------------------------

BACKGROUND = "/mirror/commanded/modern/background_job_status/9"


async def test_a_source_that_only_workers_can_poll_needs_a_watched_job(
    web: Web, provider: Any
) -> None:
    assert "PUT /v1/jobs/commanded/" in refused(await web("GET", BACKGROUND), 409)
    assert provider.asked == []
    refused(await web("GET", "/v1/jobs/commanded/9"), 404)


async def test_a_worker_refreshes_the_answer_of_such_a_source(
    web: Web, provider: Any, wait_until: Any
) -> None:
    await web("PUT", "/v1/jobs/commanded/9", {})
    store = web.context.store
    reading = asyncio.create_task(web("GET", BACKGROUND))
    source = web.context.settings.sources["commanded"]

    async def due() -> list[Claim]:
        return await store.backlogs.claim(store.shards[0], "poll", 9, lambda _: LaneLimits(9))

    claims: list[Claim] = []

    async def claimed() -> list[Claim]:
        claims.extend(await due())
        return claims

    await wait_until(claimed, 30)
    document = {"background_job_status": {"id": 9, "status": "started"}}
    update = StatusUpdate(
        source=source.name, id="9", status="started", state=State.RUNNING, origin=Origin.POLL,
        at=await store.now(),
    )  # fmt: skip
    response = HttpResponse(200, {}, json.dumps(document).encode(), 0.0)
    answer = LastAnswer.from_response(response, await store.now()).encode()
    await advance(web.context, store.shards[0], [IncomingUpdate(update, claims[0], answer)])
    assert (await reading).json() == document
    assert (await web("GET", BACKGROUND)).json() == document
    assert provider.asked == []


async def pushed(web: Web, state: State) -> None:
    """End the job `abc` as a push would."""
    store = web.context.store
    update = StatusUpdate(
        source="bluesky", id="abc", status="done", state=state, at=await store.now(),
        origin=Origin.PUSH,
    )  # fmt: skip
    await advance(web.context, store.shards[0], [IncomingUpdate(update)])
