"""With Redis' memory short what is accepted is worked off, and pushes wait.

A receiver, a worker and a clock in this process, on a real Redis with little memory; only the
subscribers are not on the network.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from processor.cli.embedded_redis import EmbeddedRedis
from processor.errors import Overloaded
from processor.service.jobs import watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.polling import mirror
from processor.service.subscriptions import manage

from .fleet import MIB, Fleet, fleet

Start = Callable[..., AbstractAsyncContextManager[Fleet]]
LARGE = "x" * 30_000  # a result
FULLEST = 1.1
"""How full Redis may get here: of so little memory connections alone take a twentieth."""


@pytest.fixture(scope="module")
def small_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of its own, whose memory nobody else uses."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    yield server.start()
    server.kill()


@pytest.fixture
def start(small_redis: str, tmp_path: Path) -> Start:
    """Makes a fleet: `start(maxmemory, subscriptions)`."""
    return partial(fleet, small_redis, tmp_path)


async def push_for(running: Fleet, seconds: float, *sizes: int, result: Any = None) -> None:
    """Push from a sender a size, each again and again until that push was taken or time is up."""
    ends = asyncio.get_running_loop().time() + seconds

    async def sender(number: int, size: int) -> None:
        jobs = [f"{running.accepted}-{number}-{n}" for n in range(size)]
        while not await running.push(jobs, result=result):
            if asyncio.get_running_loop().time() > ends:
                return
            await asyncio.sleep(0.1)

    await asyncio.gather(*itertools.starmap(sender, enumerate(sizes)))


async def all_delivered(running: Fleet, wait_until: Any, subscriptions: int = 1) -> None:
    """Wait until each job that was accepted came to each subscriber, under one id."""
    expected = running.accepted * subscriptions
    await wait_until(lambda: running.subscribers.came >= expected, 60.0)
    assert running.subscribers.came == expected
    assert running.subscribers.ids_a_job() == {1}


async def test_pushes_of_many_updates_at_once_wait_and_nothing_stops(start: Start, wait_until: Any):
    async with start(8 * MIB) as running:
        running.work()
        await push_for(running, 0.5, *[1000] * 6)
        assert running.accepted >= 1000
        assert running.refused
        await all_delivered(running, wait_until)
        assert running.peak < FULLEST


async def test_large_results_that_came_while_workers_were_away_are_delivered(
    start: Start, wait_until: Any
):
    async with start(16 * MIB) as running:
        await push_for(running, 0.0, *[1] * 250, result=LARGE)
        assert 50 < running.accepted < 250
        running.work()
        await all_delivered(running, wait_until)
        assert running.peak < FULLEST


async def test_a_store_that_is_filled_by_what_has_ended_takes_less(start: Start, wait_until: Any):
    async with start(0) as running:
        running.work()
        await push_for(running, 0.0, *[100] * 5)
        await all_delivered(running, wait_until)
        running.limit_to_fullness(0.6)
        await running.receiver.refresh()
        await push_for(running, 0.2, *[50] * 30)
        assert running.refused
        await all_delivered(running, wait_until)
        assert running.peak < FULLEST


async def test_an_update_that_fans_out_is_reserved_for(start: Start, wait_until: Any):
    async with start(6 * MIB, 10) as running:
        running.work()
        for _ in range(10):  # a quick worker makes room for the first of them
            await push_for(running, 0.2, *[60] * 10)
            if running.refused:
                break
        assert running.refused
        await all_delivered(running, wait_until, 10)
        assert running.peak < FULLEST


async def test_subscriptions_that_come_after_the_pushes_stop_nothing(start: Start, wait_until: Any):
    """Nobody could know that more of them would hear of it: Redis gets fuller than it should."""
    async with start(4 * MIB) as running:
        await push_for(running, 0.0, *[20] * 80)
        assert running.refused
        await running.subscribe(10)
        running.work()
        await all_delivered(running, wait_until, 10)


async def test_subscribers_that_are_down_keep_no_update_from_being_taken(
    start: Start, wait_until: Any
):
    """Their deliveries wait in the log, and come when they are back."""
    async with start(6 * MIB, 3) as running:
        running.subscribers.status = 503
        running.work()
        await push_for(running, 0.2, *[100] * 20)
        await wait_until(lambda: _no_update_waits(running), 30.0)
        assert running.peak < FULLEST
        running.subscribers.status = 200
        running.hurry()
        await all_delivered(running, wait_until, 3)
        assert running.peak < FULLEST


async def _no_update_waits(running: Fleet) -> bool:
    memory = running.context.store.memory
    await memory.refresh_now()
    return not memory.use.waiting


async def test_small_pushes_of_jobs_with_much_metadata_are_priced_as_what_they_become(
    start: Start, wait_until: Any
):
    async with start(10 * MIB) as running:
        wish = WatchRequest(metadata={"a": "x" * 60_000})
        for number in range(30):
            await watch.watch(running.context, "lab", f"{number}-0", wish)
        await running.receiver.refresh()
        for status in ("running", "succeeded"):
            for number in range(30):
                await running.push([f"{number}-0"], status)
        assert running.refused
        running.work()
        await wait_until(lambda: _no_update_waits(running), 30.0)
        assert running.peak < FULLEST


async def test_a_limit_below_what_is_used_stops_only_what_comes_in(start: Start, wait_until: Any):
    async with start(0) as running:
        await push_for(running, 0.0, *[100] * 10)
        running.limit(MIB)  # less than there is
        await running.receiver.refresh()
        assert not await running.push(["late"])
        running.work()
        await all_delivered(running, wait_until)


async def test_with_no_room_nothing_that_brings_more_is_taken_and_what_removes_is(
    start: Start,
):
    async with start(0, 0) as running:
        context, source = running.context, running.receiver.source("lab")
        made = await manage.create(context, manage.CreateSubscription(url="https://one.example/"))
        await watch.watch(context, "lab", "known", WatchRequest(metadata={"a": 1}))
        await running.push([f"{n}" for n in range(200)])
        running.limit_to_fullness(0.9)
        await running.receiver.refresh()
        for call in (
            lambda: watch.watch(context, "lab", "new", WatchRequest()),
            lambda: watch.watch(context, "lab", "known", WatchRequest(metadata={"b": "x" * 100})),
            lambda: manage.create(context, manage.CreateSubscription(url="https://two.example/")),
            lambda: mirror.Mirror(context).read(source, "unknown", has_key=True),
        ):
            with pytest.raises(Overloaded):
                await call()
        _, new = await watch.watch(context, "lab", "known", WatchRequest(metadata={"a": 1}))
        assert not new  # it says what is known
        await watch.unwatch(context, "lab", "known")
        await manage.remove(context, made.id)
