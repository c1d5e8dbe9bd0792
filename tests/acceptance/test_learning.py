"""Polls follow how long jobs take: once some have ended, the next ones cost fewer polls."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from .feed import Caller
from .processes import free_port
from .provider import Provider
from .sink import Sink
from .system import CLOCK, WEB, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

JOBS = 40  # of a batch; so many decide alone
SECONDS, SPREAD = 4.0, 0.2  # how long jobs take: log-normal
SEED = 3
PROFILE = """
base_url = "http://127.0.0.1:PORT"

[poll]
request = "GET /{id}"
id = "/id"
status = "/status"
every = ["300ms", "5s"]

[states]
running = "running"
succeeded = "succeeded"
"""
AT_ONCE = """
import runpy
from processor.service.polling import statistics as writer
from processor.store import statistics
statistics.MAX_AGE, writer.WRITE_INTERVAL = 0.2, 0.2
runpy.run_module('{}', run_name='__main__')
"""


class Batch:
    """Jobs of a provider that takes its time, and how often each was polled."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self._ends: dict[str, float] = {}
        self.polls: Counter[str] = Counter()

    async def tell(self, path: str) -> web.Response:
        """Answer a poll."""
        job = path.removeprefix("/")
        self.polls[job] += 1
        status = "succeeded" if time.monotonic() >= self._ends[job] else "running"
        return web.json_response({"id": job, "status": status})

    async def run(self, caller: Caller, sink: Sink, name: str) -> int:
        """Watch a batch of jobs until all have ended; how many polls they took."""
        jobs = [f"{name}-{n}" for n in range(JOBS)]
        for job in jobs:
            self._ends[job] = time.monotonic() + SECONDS * self._random.lognormvariate(0, SPREAD)
            assert (await caller.call("PUT", f"/v1/jobs/lab/{job}", {}))[0] == 201
        await until(lambda: sink.jobs >= set(jobs), 30, f"the ends of {name}")
        return sum(self.polls[job] for job in jobs)


async def test_jobs_cost_fewer_polls_once_others_have_ended(
    plan: Callable[..., System], tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "lab.toml").write_text(PROFILE.replace("PORT", str(port)))
    system = plan('[sources.lab]\nprovider = "lab"\n')
    config = tmp_path / "ringback.toml"
    config.write_text(f'providers = "{tmp_path}/profiles"\n{config.read_text()}')
    for name, (_, module) in (("web", WEB), ("worker", ("-m", "workers")), ("clock", CLOCK)):
        system.start(name, "-c", AT_ONCE.format(module))
    system.wait_until_ready()

    async with Caller(system.url) as caller, Sink() as sink:
        batch = Batch()

        async def is_learnt() -> bool:
            (source,) = (await caller.get("/v1/sources"))["items"]
            return bool(source["learnt"] and source["learnt"][0]["jobs"] >= JOBS)

        async with Provider(port, batch.tell):
            await caller.subscribe(sink, "lab")
            before = await batch.run(caller, sink, "first")
            await until_it(is_learnt, 10, "the durations of the first batch")
            after = await batch.run(caller, sink, "second")
    assert after < 0.75 * before
