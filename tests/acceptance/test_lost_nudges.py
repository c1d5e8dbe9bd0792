"""No nudge is needed: with all but the clock's lost, everything still completes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from aiohttp import web

from . import lost
from .conftest import standard
from .feed import Caller, push
from .processes import free_port
from .provider import Provider
from .sink import Call, Sink
from .system import CLOCK, System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

JOBS = 300


async def test_the_clock_alone_drives_everything(plan: Callable[..., System]) -> None:
    port = free_port()
    system = plan(standard("feed", port))
    for name, module in (("web", "processor.web"), ("worker", "workers")):
        system.start(name, str(Path(lost.__file__)), module)
    system.start("clock", *CLOCK)
    system.wait_until_ready()

    refused = set[str]()

    async def fail_one(call: Call) -> web.Response:
        first = call.job == "job-0" and call.id not in refused
        refused.add(call.id)
        return web.Response(status=500 if first else 200)

    async def tell(path: str) -> web.Response:
        return web.json_response({"id": path[1:], "status": "failed"})

    async with Caller(system.url) as caller, Sink(fail_one) as sink, Provider(port, tell):
        await caller.subscribe(sink, "feed")
        pushed = {f"job-{n}" for n in range(JOBS)}
        await caller.call("PUT", "/v1/jobs/feed/polled", {"poll": {"every": "1s"}})
        await caller.push_all(push("feed", job, "succeeded") for job in pushed)
        await until(lambda: sink.jobs >= pushed | {"polled"}, 10, "a callback for every job")
        await until(lambda: len(sink.calls) == JOBS + 2, 10, "the retry of job-0")
    with redis.Redis.from_url(system.redis.url) as store:
        astray = store.keys("*:nudge:astray-*")
    assert b"{rb:0}:nudge:astray-ingest" in astray  # a worker that is awake needs no other nudge
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
