"""A job is submitted, pushed and registered in any order, and everything is killed once meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from .conftest import standard
from .feed import Caller, push
from .sink import Sink
from .system import WEB, WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

JOBS = 400
AT_ONCE = 16
AGAIN = 0.1  # seconds until a call is made again that was refused or cut
WITHIN = 40.0  # seconds


async def _insist(call: Callable[[], Awaitable[int]]) -> None:
    """Make a call until it succeeds."""
    while True:
        try:
            if await call() < 300:
                return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(AGAIN)


async def test_each_job_completes_once_whichever_of_push_and_registration_comes_first(
    plan: Callable[..., System],
) -> None:
    config = standard("feed") + 'track = "registered"\n'
    system = plan(config, RINGBACK_LEASE="2s").start_all()
    rng, places = random.Random(7), asyncio.Semaphore(AT_ONCE)
    done: set[str] = set()

    async def one(caller: Caller, job: str) -> None:
        final = push("feed", job, "succeeded")

        async def register() -> int:
            return (await caller.call("PUT", f"/v1/jobs/feed/{job}", {}))[0]

        steps = [lambda: _insist(lambda: caller.push(final)), lambda: _insist(register)]
        rng.shuffle(steps)
        async with places:
            if rng.random() < 0.5:
                await asyncio.gather(*(step() for step in steps))
            else:
                for step in steps:
                    await step()
        done.add(job)

    async def kill_everything_once() -> None:
        await until(lambda: len(done) > JOBS // 5, WITHIN, "the first jobs")
        system.children["worker"].kill()
        system.start("second", *WORKER)
        await until(lambda: len(done) > 2 * JOBS // 5, WITHIN, "more jobs")
        system.redis.kill()
        system.redis.start()
        await until(lambda: len(done) > 3 * JOBS // 5, WITHIN, "jobs after Redis' end")
        system.children["web"].kill()
        system.start("web", *WEB)

    async with Caller(system.url) as caller, Sink() as sink:
        await caller.subscribe(sink, "feed")
        jobs = {f"job-{n}" for n in range(JOBS)}
        await asyncio.gather(kill_everything_once(), *(one(caller, job) for job in jobs))
        await until_it(caller.ready, WITHIN, "readiness")
        await until(lambda: sink.jobs >= jobs, WITHIN, "every completion", lambda: jobs - sink.jobs)
        held = await caller.push(push("feed", "orphan", "succeeded"))
        assert (held, (await caller.call("GET", "/v1/jobs/feed/orphan"))[0]) == (202, 404)
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
    assert "Traceback" not in system.logs()
