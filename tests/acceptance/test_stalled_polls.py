"""A job whose polls keep failing is told of once a series, whatever becomes of the workers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller
from .processes import free_port
from .provider import Provider
from .sink import Sink
from .system import WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

WITHIN = 30.0  # seconds
LEASE = 2.0  # seconds


async def test_a_series_of_failed_polls_has_one_id_though_its_worker_is_killed(
    plan: Callable[..., System],
) -> None:
    """The worker dies in the fifth failed poll: another one makes it, and publishes the event."""
    port, hangs = free_port(), asyncio.Event()

    async def tell(_: str) -> web.Response:
        if hangs.is_set():
            await asyncio.Event().wait()
        return web.json_response({}, status=502)

    system = plan(standard("feed", port), RINGBACK_LEASE=f"{LEASE:g}s").start_all()
    async with Caller(system.url) as caller, Sink() as sink, Provider(port, tell) as provider:
        await caller.subscribe(sink, "feed", "job.poll_stalled")
        await caller.call("PUT", "/v1/jobs/feed/1", {"poll": {"every": "1h"}})

        async def fail(times: int) -> None:
            for _ in range(times):
                before = (await _poll(caller))["failures"]
                await caller.call("POST", "/v1/jobs/feed/1/poll", {})

                async def failed(before: int = before) -> bool:
                    return bool((await _poll(caller))["failures"] > before)

                await until_it(failed, WITHIN, "a failed poll")

        await fail(4)
        hangs.set()
        asked = len(provider.asked)
        await caller.call("POST", "/v1/jobs/feed/1/poll", {})
        await until(lambda: len(provider.asked) > asked, WITHIN, "the fifth poll")
        system.children.pop("worker").kill()
        hangs.clear()
        system.start("second", *WORKER)
        await until(lambda: sink.calls, WITHIN, "job.poll_stalled")
        await fail(3)
        (event,) = [e for e in await caller.items("/v1/events") if e["type"] == "job.poll_stalled"]
        assert {call.id for call in sink.calls} == {event["id"]}
        assert event["data"]["poll"]["failures"] == 5
    assert "Traceback" not in system.logs()


async def _poll(caller: Caller) -> Any:
    return (await caller.get("/v1/jobs/feed/1"))["poll"]
