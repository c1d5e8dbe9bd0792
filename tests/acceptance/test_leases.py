"""Work that takes longer than its lease is not done twice: its worker renews the lease."""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .sink import Call, Sink
from .system import System
from .waiting import until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

JOBS = 100
LEASE, ANSWER_AFTER = 3.0, 7.0  # seconds


async def test_an_attempt_that_takes_longer_than_its_lease_is_made_once(
    plan: Callable[..., System],
) -> None:
    async def answer(_: Call) -> web.Response:
        await asyncio.sleep(ANSWER_AFTER)
        return web.Response()

    system = plan(standard("feed"), RINGBACK_LEASE=f"{LEASE:g}s").start_all()
    async with Caller(system.url) as caller, Sink(answer) as sink:
        target = await caller.subscribe(sink, "feed")
        await caller.push_all(push("feed", f"job-{n}", "succeeded") for n in range(JOBS))

        async def delivered() -> bool:
            rows = await caller.items(f"/v1/deliveries?subscription={target}&state=delivered")
            return len(rows) == JOBS

        await until_it(delivered, 60, "all are delivered")
        assert len(sink.calls) == JOBS
