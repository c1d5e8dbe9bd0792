"""Groups over four shards, while workers and Redis are killed and pushes come twice or never."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, Push, push
from .processes import free_port
from .provider import Provider
from .sink import SECRET, Sink
from .system import WORKER, System
from .waiting import until

GROUPS = 1_000 if os.environ.get("RINGBACK_TEST_PROFILE") == "soak" else 60
SIZE = 20  # jobs of a group
TWICE, NEVER, FAILED = 0.1, 0.1, 0.1  # of the pushes; of the jobs
KILLS = 4  # of a worker, and then of Redis
TROUBLED = 0.3  # seconds between kills

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


class Plan(NamedTuple):
    """How each job ends, by its id; and the pushes that come, in order."""

    ends: dict[str, str]
    pushes: list[Push]


def jobs_of(group: str) -> list[str]:
    return [f"{group}-{number}" for number in range(SIZE)]


def make_plan(groups: list[str]) -> Plan:
    chance = random.Random(8)
    ends = {
        job: "failed" if chance.random() < FAILED else "succeeded"
        for group in groups
        for job in jobs_of(group)
    }
    first = [push("feed", j, end) for j, end in ends.items() if chance.random() >= NEVER]
    pushes = first + [one for one in first if chance.random() < TWICE]
    chance.shuffle(pushes)
    return Plan(ends, pushes)


async def patiently(send: Callable[[], Any]) -> Any:
    """Send until it is taken: Redis may be away."""
    while True:
        try:
            answer = await send()
        except aiohttp.ClientError:
            answer = HTTPStatus.SERVICE_UNAVAILABLE, None
        status = answer if isinstance(answer, int) else answer[0]
        if status != HTTPStatus.SERVICE_UNAVAILABLE:
            return answer
        await asyncio.sleep(0.05)


async def send_all(senders: int, calls: list[Callable[[], Any]], good: set[int]) -> None:
    feed = iter(calls)

    async def sender() -> None:
        for call in feed:
            answer = await patiently(call)
            assert (answer if isinstance(answer, int) else answer[0]) in good, answer

    async with asyncio.TaskGroup() as tasks:
        for _ in range(senders):
            tasks.create_task(sender())


async def trouble(system: System) -> None:
    """Kill the worker or Redis, again and again; each comes back."""
    for number in range(KILLS):
        await asyncio.sleep(TROUBLED)
        system.children["worker"].kill()
        system.start("worker", *WORKER)
        await asyncio.sleep(TROUBLED)
        if number % 2:
            system.redis.kill()
            await asyncio.to_thread(system.redis.start)


@pytest.fixture
def running(plan: Callable[..., System]) -> tuple[System, int]:
    port = free_port()
    system = plan(standard("feed", port), RINGBACK_SHARDS="4", RINGBACK_LEASE="2s").start_all()
    system.start("second", *WORKER)
    return system, port


async def test_every_group_completes_once_and_with_the_right_counts(
    running: tuple[System, int],
) -> None:
    system, port = running
    groups = [f"g{number}" for number in range(GROUPS)]
    ends, pushes = make_plan(groups)

    async def tell(path: str) -> web.Response:
        job = path[1:]
        return web.json_response({"id": job, "status": ends[job]})

    async with Caller(system.url) as caller, Sink() as sink, Provider(port, tell):
        wish = {"url": sink.url, "secret": SECRET, "events": ["group.completed"]}
        assert (await caller.call("POST", "/v1/subscriptions", wish))[0] == 201

        def create(group: str) -> Callable[[], Any]:
            poll = {"every": "4s"}
            jobs = [{"source": "feed", "id": job, "poll": poll} for job in jobs_of(group)]
            body = {"id": group, "jobs": jobs}
            return lambda: caller.call("POST", "/v1/groups", body)

        calls = [create(group) for group in groups]
        sending = [lambda one=one: caller.push(one) for one in pushes]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trouble(system))
            tasks.create_task(send_all(8, calls, {200, 201}))
            tasks.create_task(send_all(16, sending, {202}))
        await until(lambda: len({c.job for c in sink.calls}) == GROUPS, 300, "all groups")
        found = await caller.items("/v1/groups")
    assert {call.job: {c.id for c in sink.calls if c.job == call.job} for call in sink.calls} == {
        group: {f"evt_g{_uid(sink, group)}_final"} for group in groups
    }
    assert len(found) == GROUPS
    for call in sink.calls:
        data = call.event["data"]
        counts = Counter(ends[job] for job in jobs_of(data["id"]))
        told = data["counts"]
        assert (told["pending"], told["total"]) == (0, SIZE)
        assert (told["succeeded"], told["failed"]) == (counts["succeeded"], counts["failed"])
        assert [(job["id"], job["state"]) for job in data["jobs"]] == [
            (job, ends[job]) for job in jobs_of(data["id"])
        ]
    assert "Traceback" not in system.logs()


def _uid(sink: Sink, group: str) -> str:
    first = next(call for call in sink.calls if call.job == group)
    return first.id.removeprefix("evt_g").removesuffix("_final")
