"""Four workers, two shards, two sources with one token: a provider's limits hold for all of them."""

import asyncio
import math
import sys
import time
from bisect import bisect
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from processor.service.polling.poll import MAX_IN_FLIGHT

from .conftest import EGRESS
from .feed import Caller
from .processes import free_port
from .provider import Provider
from .system import WORKER, System
from .waiting import until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

PROFILE = """
[poll]
request = "GET /jobs/{id}"
auth = "bearer"
id = "/id"
status = "/status"
every = ["200ms", "1s"]
%s

[states]
running = "running"
succeeded = "succeeded"
"""
SOURCE = """
[sources.{name}]
provider = "{provider}"
base_url = "http://127.0.0.1:{port}"
token = "token of {provider}"
"""
BUDGET, WINDOW = 40, 3.0  # requests in so many seconds
PROVIDERS = {"budget": f'budget = "{BUDGET}/{WINDOW:g}s"', "refusing": "", "exhausted": ""}
TICK = 0.002  # seconds
TURNS = 5  # of the event loop, at most, from a request's arrival to its handler
WORKERS, JOBS, POLLS = 4, 30, 3  # jobs of each source, and polls of each job until it is done
WAIT = 2  # seconds for which a provider wants to be left alone …
EVERY = 50  # … after so many requests


class Limited:
    """A provider that wants no requests for a while after every so many."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        """Say so with this status and these headers."""
        self._status, self._headers = status, headers
        self._served = 0
        self._told: list[float] = []  # when it said so
        self.polls: Counter[str] = Counter()  # good answers by job
        self.late: list[list[float]] = []  # of each time: after how many seconds others came

    async def answer(self, path: str) -> web.Response:
        """Answer one poll."""
        now, job = time.monotonic(), path.rpartition("/")[2]
        if self._told and now < self._told[-1] + WAIT:
            self.late[-1].append(now - self._told[-1])
        await asyncio.sleep(0.02)  # it works
        self._served += 1
        if self._served % EVERY == 0:
            self._told.append(time.monotonic())
            self.late.append([])
            if self._status != 200:
                return web.Response(status=self._status, headers=self._headers)
        self.polls[job] += 1
        status = "succeeded" if self.polls[job] >= POLLS else "running"
        extra = self._headers if self._told and self._served % EVERY == 0 else {}
        return web.json_response({"id": job, "status": status}, headers=extra)


def config(folder: Path, ports: dict[str, int]) -> str:
    """Two sources of each provider, in two shards."""
    (folder / "profiles").mkdir()
    text = 'providers = "profiles"\n' + EGRESS
    for name, rule in PROVIDERS.items():
        (folder / "profiles" / f"{name}.toml").write_text(PROFILE % rule)
        for source in (f"{name}-1", f"{name}-2"):
            text += SOURCE.format(name=source, provider=name, port=ports[name])
    return text


@asynccontextmanager
async def watched(folder: Path, ports: dict[str, int]) -> AsyncIterator[Callable[[str], object]]:
    """Everything runs and all jobs are watched; a function that waits until those of a provider end."""
    with System(folder, config(folder, ports), RINGBACK_SHARDS="2") as system:
        system.start_all()
        for number in range(2, WORKERS + 1):
            system.start(f"worker-{number}", *WORKER)
        async with Caller(system.url) as caller:
            for provider in PROVIDERS:
                for number in range(2 * JOBS):
                    path = f"/v1/jobs/{provider}-{number % 2 + 1}/{number}"
                    assert (await caller.call("PUT", path, {}))[0] == 201

            async def finish(provider: str) -> None:
                for source in (f"{provider}-1", f"{provider}-2"):

                    async def done(source: str = source) -> bool:
                        rows = await caller.items(f"/v1/jobs?source={source}&state=succeeded")
                        return len(rows) == JOBS

                    await until_it(done, 60, f"all jobs of {source} ended")

            yield finish


def report(line: str) -> None:
    """Show what was measured (`pytest -s`)."""
    sys.stdout.write(f"\n{line}")


class LoopWatch:
    """Knows since when a request can have been here: a busy machine keeps the event loop waiting."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._turns: list[float] = []

    async def run(self) -> None:
        """Note when the event loop turns."""
        while True:
            self._turns.append(time.monotonic())
            await asyncio.sleep(TICK)

    def earliest(self, handled: float) -> float:
        """The earliest time at which a request can have arrived that was handled at this time."""
        return self._turns[max(bisect(self._turns, handled) - TURNS, 0)]


async def test_a_providers_limits_hold_whatever_the_number_of_workers(tmp_path: Path) -> None:
    ports, watch = {name: free_port() for name in PROVIDERS}, LoopWatch()
    plain = Limited(200, {})
    plain._served = -math.inf  # type: ignore[assignment] # it has a budget, and never says so
    refusing = Limited(429, {"Retry-After": str(WAIT)})
    exhausted = Limited(200, {"RateLimit-Remaining": "0", "RateLimit-Reset": str(WAIT)})
    watching = asyncio.create_task(watch.run())
    async with (
        Provider(ports["budget"], plain.answer) as budget,
        Provider(ports["refusing"], refusing.answer),
        Provider(ports["exhausted"], exhausted.answer),
        watched(tmp_path, ports) as finish,
    ):
        for name in PROVIDERS:
            await finish(name)
    watching.cancel()
    times = sorted(at for at, _ in budget.asked)
    spans = zip(map(watch.earliest, times), times[BUDGET:], strict=False)
    closest = min(late - early for early, late in spans)
    report(f"40/3s: {len(times)} polls in {times[-1] - times[0]:.1f} s, 41 in {closest:.3f} s")
    assert len(times) == 2 * JOBS * POLLS
    assert closest >= WINDOW
    for name, provider in (("429", refusing), ("Remaining: 0", exhausted)):
        report(f"{name}: later requests {[[round(at, 3) for at in row] for row in provider.late]}")
        assert len(provider.late) >= 2 * JOBS * POLLS // EVERY
        assert all(len(row) <= MAX_IN_FLIGHT for row in provider.late)
        assert all(at <= WAIT / 2 for row in provider.late for at in row)
        assert set(provider.polls.values()) == {POLLS}
        assert len(provider.polls) == 2 * JOBS
