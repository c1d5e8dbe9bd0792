"""A provider that drops 30 % of its pushes: every job ends, its source turns poll-first, and back."""

import asyncio
import json
import random
from collections.abc import Callable, Iterable

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .processes import free_port
from .provider import Provider
from .sink import Sink
from .system import CLOCK, WEB, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

WORKER = """
import runpy
from processor import push_loss
from processor.service.polling import statistics
push_loss.GRACE, statistics.WRITE_INTERVAL = 2.0, 0.2
runpy.run_module('workers', run_name='__main__')
"""
LOSSY, HEALED = 120, 260  # jobs
LOST, LATE = 0.3, 0.1  # of the pushes; a late one is sent after the callback
SEED = 12


class Jobs:
    """Jobs that are watched and end; their pushes are sent, or sent late, or not at all."""

    def __init__(self, caller: Caller, sink: Sink) -> None:
        self._caller, self._sink = caller, sink
        self._random = random.Random(SEED)
        self._ended: set[str] = set()

    async def tell(self, path: str) -> web.Response:
        """Answer a poll."""
        job = path.removeprefix("/")
        status = "succeeded" if job in self._ended else "running"
        return web.json_response({"id": job, "status": status})

    async def run(self, names: Iterable[str], *, lost: float) -> None:
        """Run jobs, 24 at a time; return when each has ended and was called back about."""
        feed = iter([(name, self._random.random()) for name in names])

        async def one_by_one() -> None:
            for name, drawn in feed:
                pushed = "no" if drawn < lost else "late" if drawn > 1 - LATE else "yes"
                await self._one(name, pushed)

        async with asyncio.TaskGroup() as group:
            for _ in range(24):
                group.create_task(one_by_one())

    async def _one(self, name: str, pushed: str) -> None:
        body = {"poll": {"every": "500ms"}}
        assert (await self._caller.call("PUT", f"/v1/jobs/feed/{name}", body))[0] == 201
        self._ended.add(name)
        if pushed == "yes":
            assert await self._caller.push(push("feed", name, "succeeded")) == 202
        await until(lambda: name in self._sink.jobs, 20, f"the callback of {name}")
        if pushed == "late":
            assert await self._caller.push(push("feed", name, "succeeded")) == 202


async def test_a_source_that_loses_pushes_turns_poll_first_and_back(
    plan: Callable[..., System],
) -> None:
    port = free_port()
    system = plan(standard("feed", port))
    for name, words in (("web", WEB), ("clock", CLOCK)):
        system.start(name, *words)
    for number in range(2):
        system.start(f"worker-{number}", "-c", WORKER)
    system.wait_until_ready()

    async with Caller(system.url) as caller, Sink() as sink:
        jobs = Jobs(caller, sink)

        async def is_poll_first() -> bool:
            (source,) = (await caller.get("/v1/sources"))["items"]
            return bool(source["push_loss"]["poll_first"])

        async def is_push_first() -> bool:
            return not await is_poll_first()

        async with Provider(port, jobs.tell):
            await caller.subscribe(sink, "feed")
            await jobs.run((f"lossy-{n}" for n in range(LOSSY)), lost=LOST)
            await until_it(is_poll_first, 15, "the source is poll-first")
            assert await caller.metric('ringback_source_poll_first{source="feed"}') == 1.0
            await jobs.run((f"healed-{n}" for n in range(HEALED)), lost=0.0)
            await until_it(is_push_first, 15, "the source is push-first again")
    assert turns(system) == ["source_poll_first", "source_push_first"]
    assert sink.forged == []


def turns(system: System) -> list[str]:
    """What all processes logged about turns of a source, in order."""
    lines = [line for line in system.logs().splitlines() if '"event": "source_p' in line]
    return [line["event"] for line in sorted(map(json.loads, lines), key=lambda r: r["timestamp"])]
