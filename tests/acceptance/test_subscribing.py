"""Subscriptions and a flood of completions: from its 201 on a subscription misses nothing."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from redis import Redis

from .conftest import standard
from .feed import Caller, push
from .sink import Sink
from .system import WORKER, System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

JOBS = 4000  # that complete, as fast as they are taken: some 1,500 a second on two quiet cores
MADE = 8  # subscriptions, while they do


async def test_a_subscription_made_meanwhile_gets_all_that_is_committed_after_its_201(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed"))
    system.start("second", *WORKER)
    system.start_all()
    log = Redis.from_url(system.redis.url)
    marks: list[tuple[Sink, str]] = []  # subscribers, and the newest event at their 201

    async def subscribe(sink: Sink) -> None:
        await until(lambda: taken() > len(marks) * JOBS // (MADE + 1), 30, "jobs to be under way")
        await caller.subscribe(sink, "feed")
        marks.append((sink, newest(log)))

    def taken() -> int:
        return int(log.xlen("{rb:0}:log"))

    sinks = [Sink() for _ in range(MADE)]
    async with Caller(system.url) as caller, asyncio.TaskGroup() as group:
        for sink in sinks:
            await sink.__aenter__()
        feed = (push("feed", f"job{n}", "succeeded") for n in range(JOBS))
        flood = group.create_task(caller.push_all(feed))
        for sink in sinks:
            await subscribe(sink)
        assert not flood.done(), "the flood was over before all had subscribed"
        await flood
        await until(lambda: taken() == JOBS, 30, "all completions")
        for sink, mark in marks:
            due = {e[b"id"].decode() for _, e in log.xrange("{rb:0}:log", min=f"({mark}")}
            await until(lambda d=due, s=sink: d <= {c.id for c in s.calls}, 30, "its callbacks")
            assert set(Counter(call.id for call in sink.calls).values()) == {1}
            await sink.__aexit__(None, None, None)
    log.close()


def newest(log: Redis) -> str:
    """The place of the newest event."""
    place: bytes = log.xrevrange("{rb:0}:log", count=1)[0][0]
    return place.decode()
