"""A feed in disorder, with losses and repetitions, beside a status endpoint with moods."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, Push, push
from .processes import free_port
from .provider import Provider, Tell
from .sink import Sink
from .system import WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

JOBS = 1_000
BACKLOGS = ("ingest", "poll", "deliver")
REGISTERED = 100  # by PUT; the others are made by their first push
FINALS = ("succeeded", "succeeded", "failed", "canceled")
COMPLETED = {f"job.{state}" for state in FINALS}
TRUTH = {f"job-{n}": FINALS[n % len(FINALS)] for n in range(JOBS)}


def shuffled() -> list[Push]:
    """Four pushes a job in any order, 5 % of them lost and 10 % sent again somewhere."""
    sent = []
    for job, final in TRUTH.items():
        words = [("queued", None), ("running", 0.1), ("running", 0.7), (final, None)]
        sent += [push("feed", job, status, progress=part) for status, part in words]
    sent = random.sample(sent, len(sent) * 95 // 100)
    sent += random.sample(sent, len(sent) // 10)
    random.shuffle(sent)
    return sent


def moody(answers: Counter[int]) -> Tell:
    """The truth mostly; sometimes 429, sometimes 500."""

    async def tell(path: str) -> web.Response:
        (status,) = random.choices((200, 429, 500), (85, 5, 10))
        answers[status] += 1
        if status == 429:
            return web.Response(status=429, headers={"Retry-After": "1"})
        job = path.removeprefix("/")
        return web.json_response({"id": job, "status": TRUTH[job]}, status=status)

    return tell


async def empty(caller: Caller) -> bool:
    """Whether nothing waits in any backlog."""
    counts = [await caller.metric(f'ringback_backlog_items{{backlog="{b}"}}') for b in BACKLOGS]
    return not any(counts)


def completions(events: list[Any]) -> dict[str, set[str]]:
    """The ids of the completion events of each job."""
    found = defaultdict(set)
    for event in events:
        if event["type"] in COMPLETED:
            found[event["data"]["id"]].add(event["id"])
    return found


async def test_every_job_ends_right_with_one_event(plan: Callable[..., System]) -> None:
    port, answers = free_port(), Counter[int]()
    system = plan(standard("feed", port)).start_all()
    system.start("second", *WORKER)  # so that commits get in each other's way
    async with Caller(system.url) as caller, Sink() as sink, Provider(port, moody(answers)):
        await caller.subscribe(sink, "feed")
        for job in random.sample(list(TRUTH), REGISTERED):
            status, _ = await caller.call("PUT", f"/v1/jobs/feed/{job}", {"poll": {"every": "1s"}})
            assert status == 201
        pushes = shuffled()
        await caller.push_all(pushes)
        known = {one.id for one in pushes}  # one in 160,000 is neither pushed nor registered
        await until(lambda: sink.jobs >= known, 45, "callbacks for", lambda: known - sink.jobs)
        await until_it(lambda: empty(caller), 15, "empty backlogs")
        states = {job["id"]: job["state"] for job in await caller.items("/v1/jobs?source=feed")}
        log = completions(await caller.items("/v1/events"))
    assert states == {job: TRUTH[job] for job in states}
    assert states.keys() >= known
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
    assert sink.ids() == log
    assert not sink.forged
    assert all(answers[mood] for mood in (200, 429, 500)), answers
    assert "Traceback" not in system.logs()
