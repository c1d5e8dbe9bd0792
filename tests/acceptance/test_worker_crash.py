"""A worker that is killed while busy: another one goes on with its work."""

import asyncio
import time
from collections.abc import Callable

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .processes import free_port
from .provider import Provider
from .sink import Gate, Sink
from .system import WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

LEASE = 2.0  # seconds
HELD, POLLED, BUSY = 200, 20, 1_000  # HELD + POLLED in the hands of the first worker when it dies


async def test_work_of_a_killed_worker_resumes_within_twice_the_lease(
    plan: Callable[..., System],
) -> None:
    port, may_answer = free_port(), asyncio.Event()
    gate = Gate()

    async def tell(path: str) -> web.Response:
        await may_answer.wait()
        return web.json_response({"id": path[1:], "status": "succeeded"})

    system = plan(standard("feed", port), RINGBACK_LEASE=f"{LEASE:g}s").start_all()
    async with (
        Caller(system.url) as caller,
        Sink(gate.answer) as sink,
        Provider(port, tell) as provider,
    ):
        await caller.subscribe(sink, "feed")
        polled = {f"polled-{n}" for n in range(POLLED)}
        for job in polled:
            await caller.call("PUT", f"/v1/jobs/feed/{job}", {"poll": {"every": "500ms"}})
        held = {f"held-{n}" for n in range(HELD)}
        await caller.push_all(push("feed", job, "succeeded") for job in held)
        await until(lambda: sink.jobs >= held, 10, "deliveries under way")
        await until(lambda: len(provider.asked) >= POLLED, 10, "polls under way")
        system.start("second", *WORKER)

        async def two() -> bool:
            return await caller.metric("ringback_workers ") == 2

        await until_it(two, 15, "a second worker")

        busy = {f"busy-{n}" for n in range(BUSY)}
        pushing = asyncio.create_task(
            caller.push_all(push("feed", job, "succeeded") for job in busy)
        )
        await until(lambda: len(sink.calls) >= HELD + 20, 10, "the first of the busy jobs")
        system.children["worker"].kill()
        died = time.monotonic()
        gate.open()
        may_answer.set()
        await pushing
        await until(lambda: sink.jobs >= held | busy | polled, 30, "a callback for every job")
        await until(lambda: held <= {c.job for c in sink.calls if c.at > died}, 10, "resumption")
        again = {call.job: call.at - died for call in reversed(sink.calls) if call.at > died}
        asked = {path[1:]: at - died for at, path in reversed(provider.asked) if at > died}
    assert max(again[job] for job in held) <= 2 * LEASE
    assert max(asked[job] for job in polled) <= 2 * LEASE
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
    assert system.children["second"].alive
    assert "Traceback" not in system.logs()
