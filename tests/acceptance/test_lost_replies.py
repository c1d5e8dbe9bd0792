"""Every script loses its reply twice in every process, and nothing is lost or doubled."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from . import deaf
from .conftest import standard
from .feed import Caller, Push, push
from .processes import free_port
from .provider import Provider
from .sink import SECRET as SINK_SECRET, Call, Sink
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

JOBS = 60
LEASE = "2s"
ON_THE_WAY = {  # from a push or a poll to a settled delivery
    *("accept", "claim", "commit", "settle", "read_deliveries", "nudge_due", "record_attempt"),
    *("subscribe", "mark_process", "memory"),
}


async def push_until_accepted(caller: Caller, pushes: list[Push]) -> None:
    """Send pushes as providers do: again until they are accepted."""
    while pushes:
        answers = await asyncio.gather(*map(caller.push, pushes))
        pushes = [one for one, status in zip(pushes, answers, strict=True) if status != 202]


async def test_a_lost_reply_loses_and_doubles_nothing(
    plan: Callable[..., System], tmp_path: Path
) -> None:
    port, lost = free_port(), tmp_path / "lost"
    system = plan(standard("feed", port), RINGBACK_LEASE=LEASE, LOST=str(lost))
    for name, module in (
        ("web", "processor.web"),
        ("worker", "workers"),
        ("clock", "workers.clock"),
    ):
        system.start(name, str(Path(deaf.__file__)), module)
    system.wait_until_ready()
    refused = set[str]()

    async def fail_some(call: Call) -> web.Response:
        fails = call.job.endswith("7") and call.id not in refused
        refused.add(call.id)
        return web.Response(status=500 if fails else 200)

    async def tell(path: str) -> web.Response:
        return web.json_response({"id": path[1:], "status": "failed"})

    async with Caller(system.url) as caller, Sink(fail_some) as sink, Provider(port, tell):
        wish = {"url": sink.url, "secret": SINK_SECRET, "sources": ["feed"]}
        watched = {"poll": {"every": "1s"}}
        for method, path, body in (
            ("PUT", "/v1/jobs/feed/polled", watched),
            ("POST", "/v1/subscriptions", wish),
        ):
            while (await caller.call(method, path, body))[0] >= 300:
                pass  # a call whose answer was lost is made again
        for extra in (await caller.items("/v1/subscriptions"))[1:]:  # of a call that was made twice
            await caller.call("DELETE", f"/v1/subscriptions/{extra['id']}")
        jobs = [f"job-{n}" for n in range(JOBS)]
        for first in range(0, JOBS, 10):  # in turns, so that there are many commits
            some = jobs[first : first + 10]
            for state in ("running", "succeeded"):
                await push_until_accepted(caller, [push("feed", job, state) for job in some])
        await until(lambda: sink.jobs >= {*jobs, "polled"}, 40, "a callback for every job")
        failing = {job for job in jobs if job.endswith("7")}

        def retried() -> bool:
            return all(sum(c.job == job for c in sink.calls) == 2 for job in failing)

        await until(retried, 30, "the retries")
        await asyncio.sleep(0.5)
    assert set(lost.read_text().split()) >= ON_THE_WAY
    calls = {job: [c.id for c in sink.calls if c.job == job] for job in {*jobs, "polled"}}
    assert {j: ids for j, ids in calls.items() if len(set(ids)) != 1} == {}
    assert {j: ids for j, ids in calls.items() if len(ids) != 1 + (j in failing)} == {}
