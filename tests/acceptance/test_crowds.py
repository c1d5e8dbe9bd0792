"""Much that happens at the same moment is no reason to fail."""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .processes import free_port
from .provider import Provider
from .sink import Gate, Sink
from .system import WORKER, System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

SOURCES, JOBS = 4, 60  # as many polls under way as four slow providers allow
PROMPTLY = 8.0  # seconds; what fails comes again after a lease, which is 30


async def test_many_answers_of_providers_at_once(plan: Callable[..., System]) -> None:
    port, may_answer = free_port(), asyncio.Event()

    async def tell(path: str) -> web.Response:
        await may_answer.wait()
        return web.json_response({"id": path[1:], "status": "succeeded"})

    sources = [f"source-{n}" for n in range(SOURCES)]
    system = plan("".join(standard(source, port) for source in sources)).start_all()
    async with Caller(system.url) as caller, Provider(port, tell) as provider, Sink() as sink:
        jobs = set()
        for source in sources:
            await caller.subscribe(sink, source)
            for number in range(JOBS):
                jobs.add(f"{source}-{number}")
                wish = {"poll": {"every": "500ms"}}
                await caller.call("PUT", f"/v1/jobs/{source}/{source}-{number}", wish)
        await until(lambda: len(provider.asked) >= len(jobs), 9, "polls under way")
        may_answer.set()
        await until(lambda: sink.jobs == jobs, PROMPTLY, "a callback for every job")
    assert "redis_unavailable" not in system.logs()


async def test_many_deliveries_due_when_a_worker_starts(plan: Callable[..., System]) -> None:
    gate = Gate()
    system = plan(standard("feed"), RINGBACK_LEASE="2s").start_all()
    async with Caller(system.url) as caller, Sink(gate.answer) as sink:
        await caller.subscribe(sink, "feed")
        jobs = {f"job-{n}" for n in range(SOURCES * JOBS)}
        await caller.push_all(push("feed", job, "succeeded") for job in jobs)
        await until(lambda: sink.jobs == jobs, 10, "deliveries under way")
        system.children["worker"].kill()
        sink.calls.clear()
        gate.open()
        system.start("second", *WORKER)
        await until(lambda: sink.jobs == jobs, PROMPTLY, "a callback for every job")
    assert "redis_unavailable" not in system.children["second"].log()
