"""`ordered`, over real processes: two workers, a subscriber that comes and goes, a killed worker."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .sink import SECRET, Call, Sink
from .system import WORKER, System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

JOBS = 60
RUNS = 4  # of each job: each begins and fails, the last succeeds
AWAY = 2  # the run during which the subscriber is


async def test_no_event_of_a_job_comes_before_an_earlier_one(plan: Callable[..., System]) -> None:
    system = plan(standard("feed"), RINGBACK_LEASE="1s")
    system.start("second", *WORKER)
    system.start_all()
    away, refused = asyncio.Event(), set[str]()

    async def answer(call: Call) -> web.Response:
        if away.is_set():
            refused.add(call.job)
        return web.Response(status=503 if away.is_set() else 200)

    async with Caller(system.url) as caller, Sink(answer) as sink:
        wish = {"url": sink.url, "secret": SECRET, "ordered": True}
        wish["events"] = ["job.started", "job.completed"]
        assert (await caller.call("POST", "/v1/subscriptions", wish))[0] == 201
        for number in range(1, RUNS + 1):
            (away.set if number == AWAY else away.clear)()
            for word in ("running", "succeeded" if number == RUNS else "failed"):
                pushes = (push("feed", f"job{n}", word, attempt=number) for n in range(JOBS))
                await caller.push_all(pushes)
            if number == 1:
                system.children["second"].kill()
                system.start("third", *WORKER)
            if number == AWAY:
                await until(lambda: refused, 10, "the subscriber to be away")
        await until(lambda: len(ended(sink)) == JOBS, 40, "the last event of every job")
        first = firsts(sink)
    assert len(first) == JOBS
    assert all(came == sorted(came) for came in first.values())


def firsts(sink: Sink) -> dict[str, list[int]]:
    """The sequences of each job's events, in the order in which they came for the first time."""
    found: dict[str, list[int]] = defaultdict(list)
    for call in sink.calls:
        sequence = call.event["data"]["sequence"]
        if sequence not in found[call.job]:
            found[call.job].append(sequence)
    return found


def ended(sink: Sink) -> set[str]:
    """The jobs whose last event has come. How many there were is not known: a run may begin unseen."""
    return {call.job for call in sink.calls if call.event["type"] == "job.succeeded"}
