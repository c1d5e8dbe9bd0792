"""Renewing the leases of what is under way never costs an attempt its record."""

import asyncio
import random
import time
from collections.abc import Callable

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .sink import Call, Sink
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

JOBS = 600
SLOWEST = 1.0  # seconds until the subscriber refuses
EARLIEST_RETRY = 4.0


async def test_a_refused_attempt_is_not_made_again_before_its_time(
    plan: Callable[..., System],
) -> None:
    early, first = list[float](), dict[str, float]()

    async def refuse(call: Call) -> web.Response:
        if call.id in first:
            early.append(time.monotonic() - first[call.id])
        else:
            await asyncio.sleep(random.random() * SLOWEST)
            first[call.id] = time.monotonic()
        return web.Response(status=400)  # what it does not like; a 5xx would have it rest

    system = plan(standard("feed"), RINGBACK_LEASE="300ms").start_all()
    async with Caller(system.url) as caller, Sink(refuse) as sink:
        await caller.subscribe(sink, "feed")
        await caller.push_all(push("feed", f"job-{n}", "succeeded") for n in range(JOBS))
        await until(lambda: len(first) == JOBS, 20, "a first attempt of each")
        last = max(first.values())
        await until(lambda: early or time.monotonic() > last + 1, 2, "a lease's end")
    assert [round(wait, 2) for wait in early if wait < EARLIEST_RETRY] == []
