"""/mirror/{source}/final/…: the provider's status call for readers that want the end, and wait for it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from processor.config import load
from processor.errors import ConfigError
from processor.model import Origin, State, StatusUpdate
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.polling import mirror as polling_mirror

from .calling import KEY, Web, refused

STATUS = "/xrpc/app.bsky.video.getJobStatus?jobId=abc"
FINAL, PLAIN = f"/mirror/bluesky/final{STATUS}", f"/mirror/bluesky{STATUS}"
OPEN = f"/mirror/open/final{STATUS}"
RUNNING = json.dumps({"jobId": "abc", "state": "JOB_STATE_ENCODING"})
DONE = json.dumps({"jobId": "abc", "state": "JOB_STATE_COMPLETED"})


async def update(web: Web, state: State, origin: Origin = Origin.PUSH) -> None:
    """Bring the job `abc` into a state, as a push (or its deadline) would."""
    store = web.context.store
    one = StatusUpdate(
        source="bluesky", id="abc", status="made up", state=state, at=await store.now(),
        origin=origin,
    )  # fmt: skip
    await advance(web.context, store.shards[0], [IncomingUpdate(one)])


def waiting(web: Web) -> dict[str, Any]:
    """Who waits for the end of which job."""
    found: dict[str, Any] = web.health.at_drain[0].__self__._waiters  # type: ignore[attr-defined]
    return found


async def held(web: Web, wait_until: Any, path: str = FINAL) -> asyncio.Task[Any]:
    """A reader that waits for the end of the job."""
    reading = asyncio.create_task(web("GET", path))
    waiters = waiting(web)
    await wait_until(lambda: reading.done() or waiters)
    assert not reading.done(), (await reading).text
    return reading


async def test_a_job_that_has_ended_is_answered_at_once(web: Web, provider: Any) -> None:
    provider.tell(DONE, 409)  # Bluesky's answer about a video that is already there
    for _ in range(2):
        answer = await web("GET", FINAL)
        assert (answer.status_code, answer.text) == (409, DONE)
        assert int(answer.headers["age"]) < 60
    assert len(provider.asked) == 1


async def test_a_reader_is_held_until_the_job_ends(
    web: Web, provider: Any, wait_until: Any
) -> None:
    provider.tell(RUNNING)
    reading = await held(web, wait_until)
    provider.tell(DONE)
    await web("GET", PLAIN, headers={"cache-control": "no-cache"})  # as a worker's poll would
    assert (await reading).text == DONE
    assert len(provider.asked) == 2


async def test_a_push_that_ends_the_job_is_followed_by_one_poll_for_its_answer(
    web: Web, provider: Any, wait_until: Any
) -> None:
    provider.tell(RUNNING)
    first = await held(web, wait_until)
    readers = [first, *(asyncio.create_task(web("GET", FINAL)) for _ in range(20))]
    await wait_until(lambda: sum(map(len, waiting(web).values())) == 21)
    provider.tell(DONE)
    await update(web, State.SUCCEEDED)
    assert {(await reading).text for reading in readers} == {DONE}
    assert len(provider.asked) == 2


@pytest.mark.parametrize("ended", [None, State.SUCCEEDED])
async def test_without_an_end_the_answer_is_503_with_retry_after(
    web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch, ended: State | None
) -> None:
    """Also if only a push has said so, and the provider's own status call does not yet."""
    monkeypatch.setattr(polling_mirror, "MAX_HOLD", 0.1)
    provider.tell(RUNNING)
    await web("GET", PLAIN)
    if ended:
        await update(web, ended)
    answer = await web("GET", FINAL)
    assert "not finished" in refused(answer, 503)
    assert answer.headers["retry-after"] == "1"


async def test_our_deadline_is_not_the_end(
    web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling_mirror, "MAX_HOLD", 0.1)
    provider.tell(RUNNING)
    await web("GET", PLAIN)
    job = (await web("PUT", "/v1/jobs/bluesky/abc", {"deadline": "1s"})).json()
    assert job["state"] == "running"
    await update(web, State.EXPIRED, Origin.DEADLINE)
    refused(await web("GET", FINAL), 503)
    monkeypatch.undo()
    provider.tell(DONE)
    await update(web, State.SUCCEEDED)  # the provider's word after all
    assert (await web("GET", FINAL)).text == DONE


async def test_a_refusal_is_passed_on_at_once(web: Web, provider: Any) -> None:
    provider.tell("no such video", 404)
    answer = await web("GET", FINAL)
    assert (answer.status_code, answer.text) == (404, "no such video")
    refused(await web("GET", "/v1/jobs/bluesky/abc"), 404)


async def test_an_answer_that_says_nothing_is_not_an_end(web: Web, provider: Any) -> None:
    provider.tell('{"hello": "there"}')
    refused(await web("GET", FINAL), 503)


async def test_without_a_key_only_a_watched_job_is_waited_for(
    web: Web, provider: Any, wait_until: Any
) -> None:
    provider.tell(RUNNING)
    refused(await web.without_key("GET", OPEN), 503)  # at once: nothing tells when it ends
    assert await web.items("/v1/jobs") == []
    await web("GET", f"/mirror/open{STATUS}")
    reading = asyncio.create_task(web.without_key("GET", OPEN))
    await wait_until(lambda: waiting(web))
    provider.tell(DONE)
    await web("GET", f"/mirror/open{STATUS}", headers={"cache-control": "no-cache"})
    assert (await reading).text == DONE
    refused(await web.without_key("GET", FINAL), 401)


async def test_few_readers_without_a_key_are_held(
    web: Web, provider: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody could else hold all connections, and pushes would find none."""
    monkeypatch.setattr(polling_mirror, "MAX_HOLD", 60.0)
    provider.tell(RUNNING)
    await web("GET", f"/mirror/open{STATUS}")
    most = polling_mirror.MAX_HELD_WITHOUT_KEY
    readers = [asyncio.create_task(web.without_key("GET", OPEN)) for _ in range(most + 10)]
    with_key = asyncio.create_task(web("GET", OPEN))
    await wait_until(lambda: sum(map(len, waiting(web).values())) == most + 1, 30)
    await wait_until(lambda: sum(reader.done() for reader in readers) == 10, 30)
    web.health.drain()
    for answer in await asyncio.gather(*readers, with_key):
        refused(answer, 503)


async def test_a_process_that_stops_lets_go_of_its_readers(
    web: Web, provider: Any, wait_until: Any
) -> None:
    provider.tell(RUNNING)
    reading = await held(web, wait_until)
    web.health.drain()
    refused(await reading, 503)


async def test_mirror_root_serves_it_at_the_root_too(
    web_of: Any, provider: Any, redis_url: str, tmp_path: Path
) -> None:
    table = (
        f'[sources.sky]\nprovider = "bluesky"\nbase_url = "{provider.url}"\nmirror_root = true\n'
    )
    (tmp_path / "root.toml").write_text(table)
    environ = {"REDIS_URL": redis_url, "RINGBACK_API_KEYS": KEY}
    web = await web_of(settings=load(tmp_path / "root.toml", environ))
    provider.tell(DONE)
    answer = await web("GET", f"/final{STATUS}")
    assert answer.text == DONE
    refused(await web.without_key("GET", f"/final{STATUS}"), 401)


def test_a_path_at_the_root_cannot_begin_with_final(tmp_path: Path) -> None:
    profile = (
        'mirror = "/final/{id}"\nbase_url = "https://a.example"\n[poll]\nrequest = "GET /{id}"\n'
        'id = "/id"\nstatus = "/s"\nevery = ["1s", "2s"]\n[states]\ndone = "succeeded"\n'
    )
    (tmp_path / "own.toml").write_text(profile)
    table = 'providers = "."\n[sources.a]\nprovider = "own"\nmirror_root = true\n'
    (tmp_path / "root.txt").write_text(table)
    with pytest.raises(ConfigError, match="would hide Ringback's own /final"):
        load(tmp_path / "root.txt", {})
