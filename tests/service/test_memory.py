"""If Redis' memory is short, accepted work is finished, and pushes get 503.

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
from processor.service.events.tail import Tailer
from processor.service.jobs import watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.polling import mirror
from processor.service.subscriptions import manage

from .fleet import MIB, Fleet, fleet

Start = Callable[..., AbstractAsyncContextManager[Fleet]]
LARGE = "x" * 30_000  # a result
FULLEST = 1.1
"""How full Redis may get here: connections alone use a twentieth of so little memory."""


@pytest.fixture(scope="module")
def small_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for this file alone."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    yield server.start()
    server.kill()


@pytest.fixture
def start(small_redis: str, tmp_path: Path) -> Start:
    """Makes a fleet: `start(maxmemory, subscriptions)`."""
    return partial(fleet, small_redis, tmp_path)


async def push_for(running: Fleet, seconds: float, *sizes: int, result: Any = None) -> None:
    """Push from one sender a size; each repeats its push until it is accepted or time is up."""
    ends = asyncio.get_running_loop().time() + seconds

    async def sender(number: int, size: int) -> None:
        jobs = [f"{running.accepted}-{number}-{n}" for n in range(size)]
        while not await running.push(jobs, result=result):
            if asyncio.get_running_loop().time() > ends:
                return
            await asyncio.sleep(0.1)

    await asyncio.gather(*itertools.starmap(sender, enumerate(sizes)))


async def all_delivered(running: Fleet, wait_until: Any, subscriptions: int = 1) -> None:
    """Wait until the completion of each accepted job reached each subscriber, with one id."""
    expected = running.accepted * subscriptions
    await wait_until(lambda: running.subscribers.came >= expected, 60.0)
    assert running.subscribers.came == expected
    assert running.subscribers.ids_a_job() == {1}


async def test_large_batches_get_503_and_all_accepted_updates_are_delivered(
    start: Start, wait_until: Any
):
    async with start(8 * MIB) as running:
        running.work()
        await push_for(running, 0.5, *[1000] * 6)
        assert running.accepted >= 1000
        assert running.refused
        await all_delivered(running, wait_until)
        assert running.peak < FULLEST


async def test_large_results_that_were_accepted_without_a_worker_are_delivered(
    start: Start, wait_until: Any
):
    async with start(16 * MIB) as running:
        await push_for(running, 0.0, *[1] * 250, result=LARGE)
        assert 50 < running.accepted < 250
        running.work()
        await all_delivered(running, wait_until)
        assert running.peak < FULLEST


async def test_a_store_that_is_full_of_finished_jobs_accepts_less(start: Start, wait_until: Any):
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


async def test_memory_is_reserved_for_all_deliveries_of_an_update(start: Start, wait_until: Any):
    async with start(6 * MIB, 10) as running:
        running.work()
        for _ in range(10):  # a quick worker makes room for the first of them
            await push_for(running, 0.2, *[60] * 10)
            if running.refused:
                break
        assert running.refused
        await all_delivered(running, wait_until, 10)
        assert running.peak < FULLEST


async def test_subscriptions_added_after_the_pushes_get_all_deliveries(
    start: Start, wait_until: Any
):
    """The reserve did not include their deliveries, so Redis gets fuller than it should."""
    async with start(4 * MIB) as running:
        await push_for(running, 0.0, *[20] * 80)
        assert running.refused
        await running.subscribe(10)
        running.work()
        await all_delivered(running, wait_until, 10)


async def test_failing_subscribers_do_not_keep_updates_from_being_ingested(
    start: Start, wait_until: Any
):
    """Their deliveries wait in the log, and are made once they work again."""
    async with start(6 * MIB, 3) as running:
        running.subscribers.status = 503
        running.work()
        await push_for(running, 0.2, *[100] * 20)
        await wait_until(lambda: _no_update_waits(running), 30.0)
        assert running.peak < FULLEST
        running.subscribers.status = 200
        running.make_due()
        await all_delivered(running, wait_until, 3)
        assert running.peak < FULLEST


async def _no_update_waits(running: Fleet) -> bool:
    memory = running.context.store.memory
    await memory.refresh_now()
    return not memory.use.waiting


async def test_small_pushes_of_jobs_with_large_metadata_are_priced_by_their_events(
    start: Start, wait_until: Any
):
    async with start(10 * MIB) as running:
        request = WatchRequest(metadata={"a": "x" * 60_000})
        for number in range(30):
            await watch.watch(running.context, "lab", f"{number}-0", request)
            await running.receiver.refresh()  # a PUT reserves four times what stays of it
        for status in ("running", "succeeded"):
            for number in range(30):
                await running.push([f"{number}-0"], status)
        assert running.refused
        running.work()
        await wait_until(lambda: _no_update_waits(running), 30.0)
        assert running.peak < FULLEST


async def test_a_memory_limit_below_the_used_memory_stops_only_new_pushes(
    start: Start, wait_until: Any
):
    async with start(0) as running:
        await push_for(running, 0.0, *[100] * 10)
        running.limit(MIB)  # less than what is used
        await running.receiver.refresh()
        assert not await running.push(["late"])
        running.work()
        await all_delivered(running, wait_until)


async def test_without_free_memory_only_calls_that_remove_are_accepted(
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
            lambda: mirror.Mirror(context, Tailer(context.store)).read(
                source, "unknown", mirror.Reader(has_key=True)
            ),
        ):
            with pytest.raises(Overloaded):
                await call()
        _, new = await watch.watch(context, "lab", "known", WatchRequest(metadata={"a": 1}))
        assert not new  # it changes nothing
        await watch.unwatch(context, "lab", "known")
        await manage.remove(context, made.id)
