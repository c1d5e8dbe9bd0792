"""Redis' limit of memory is set below what it uses for eight seconds, under load."""

import asyncio
import itertools
import time
from collections.abc import Callable

import pytest
from redis import Redis

from .conftest import standard
from .feed import Caller, push
from .sink import Sink
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

SHORT = 8.0  # seconds
AFTER = 2.0  # seconds for which pushes go on when there is room again
RATE = 0.05  # seconds between the pushes of one sender
SENDERS = 4
WORKED_OFF = 60.0  # seconds, on a busy machine


async def test_what_is_answered_while_memory_is_short_comes_under_one_id(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed")).start_all()
    redis = Redis.from_url(system.redis.url)
    answers: dict[str, int] = {}
    numbers = itertools.count()
    started = time.monotonic()

    async def send(caller: Caller) -> None:
        while time.monotonic() < started + 2 * AFTER + SHORT:
            job = f"job-{next(numbers)}"
            one = push("feed", job, "succeeded", result="x" * 2_000)
            for _ in range(3):  # as providers do
                answers[job] = await caller.push(one)
                if answers[job] == 202:
                    break
                await asyncio.sleep(0.5)
            await asyncio.sleep(RATE)

    async with Caller(system.url) as caller, Sink() as sink:
        await caller.subscribe(sink, "feed")
        sending = asyncio.gather(*(send(caller) for _ in range(SENDERS)))
        await until(lambda: len(sink.jobs) > 10, 20, "callbacks before")
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] // 2)  # type: ignore[index]
        short_at = time.monotonic()
        await until(lambda: time.monotonic() > short_at + SHORT, SHORT + 1, "the end of it")
        stuck = {job for job, answer in answers.items() if answer == 202} - sink.jobs
        assert len(stuck) <= SENDERS  # what was in hand was worked off meanwhile
        assert 503 in answers.values()
        redis.config_set("maxmemory", 0)
        await sending
        taken = {job for job, answer in answers.items() if answer == 202}
        assert [answers[job] for job in list(answers)[-SENDERS:]] == [202] * SENDERS
        await until(lambda: taken <= sink.jobs, WORKED_OFF, "callbacks", lambda: taken - sink.jobs)
        assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
    logs = system.logs()
    assert logs.count('"memory_short"') == 1
    assert "redis_unavailable" not in logs
    assert "Traceback" not in logs
    assert all(child.alive for child in system.children.values())
