"""A worker delivers right from its commit what it has room for; everything else goes the long way."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from processor import schedule
from processor.model import Subscription
from processor.service.replay.replay import CreateWithReplay, create
from processor.service.runtime.outage import Outage
from workers import pumps
from workers.pump import Pump

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Worker:
    """The pumps of one worker, of which only a claim of `ingest` starts anything."""

    def __init__(self, bench: Any, subscriber: Any, wait_until: Any) -> None:
        self.bench, self.subscriber, self.wait_until = bench, subscriber, wait_until
        self.pumps: dict[str, Pump] = pumps.all_pumps(bench.context, Outage("test"))
        self.scripts: Counter[str] = Counter()  # that were run, by name
        run = bench.store.connection.run

        async def counted(name: str, *args: Any, **options: Any) -> Any:
            self.scripts[name] += 1
            return await run(name, *args, **options)

        bench.store.connection.run = counted

    async def subscribe(self, **settings: Any) -> Subscription:
        """Make a subscription whose limits the worker knows."""
        given = {"url": self.subscriber.url, "secret": SECRET} | settings
        made, _ = await create(self.bench.context, CreateWithReplay(**given))
        await self.pumps["deliver"].run()
        self.scripts.clear()
        return made

    async def finish(self, *jobs: str) -> None:
        """Ingest pushes that finish jobs, and wait until nothing runs."""
        for job in jobs:
            await self.bench.accept(id=job, status="succeeded")
        await self.pumps["ingest"].run()
        await self.wait_until(lambda: not self.pumps["deliver"]._running)


@pytest.fixture
def worker(bench: Any, subscriber: Any, wait_until: Any) -> Worker:
    return Worker(bench, subscriber, wait_until)


async def test_a_lone_push_takes_five_scripts(worker: Worker):
    """Accept (on connections of its own), claim, commit, settle, and the claim that finds nothing."""
    await worker.subscribe()
    await worker.finish("1")  # from now on the worker knows the lane of the source
    worker.scripts.clear()
    await worker.finish("2")
    assert len(worker.subscriber.got) == 2
    assert worker.scripts == {"claim": 2, "commit": 1, "settle": 1}
    assert await worker.bench.store.backlogs.depth("deliver") == (0, 0.0)


async def test_a_callback_target_is_read(worker: Worker):
    """It belongs to a job, and a worker does not know it by heart."""
    await worker.bench.watch("1", callback_url=worker.subscriber.url, callback_secret=SECRET)
    worker.scripts.clear()
    await worker.finish("1")
    assert len(worker.subscriber.got) == 1
    assert worker.scripts["read_deliveries"] == 1


async def test_a_worker_that_drains_takes_nothing(worker: Worker):
    await worker.subscribe()
    worker.pumps["deliver"].stopping = True
    await worker.finish("1")
    assert worker.subscriber.got == []
    store = worker.bench.store
    assert (await store.backlogs.depth("deliver"))[0] == 1
    nudges = await store.connection.redis.llen(store.shards[0].nudge["deliver"])
    assert nudges == 1  # for another worker


async def test_a_full_worker_leaves_the_rest_to_others(worker: Worker):
    await worker.subscribe()
    worker.pumps["deliver"]._max_in_flight = 6  # of which a third is one subscriber's
    await worker.finish("1", "2", "3", "4")
    assert len(worker.subscriber.got) == 2
    assert (await worker.bench.store.backlogs.depth("deliver"))[0] == 2


async def test_a_lane_with_unknown_limits_is_left_to_the_pump(worker: Worker):
    await worker.subscribe()
    worker.scripts.clear()
    given = {"url": worker.subscriber.url, "secret": SECRET, "concurrency": 1}
    await create(worker.bench.context, CreateWithReplay(**given))
    await worker.finish("1")
    assert len(worker.subscriber.got) == 1
    await worker.pumps["deliver"].run()
    await worker.wait_until(lambda: len(worker.subscriber.got) == 2)


async def test_a_drain_waits_for_what_a_commit_is_about_to_hand_over(worker: Worker):
    """It must not end between the commit and the delivery."""
    pump = worker.pumps["deliver"]
    with pump.kept_free(1):
        ending = asyncio.create_task(pump.finish(5.0))
        await worker.wait_until(lambda: pump.stopping)
        await asyncio.sleep(0)
        assert not ending.done()
    await ending


async def test_a_failed_delivery_that_was_handed_over_is_tried_again_with_its_body(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(schedule, "RETRY_DELAYS", (0.0, 0.0))
    await worker.subscribe()
    worker.subscriber.status = 400
    await worker.finish("1")
    (first,) = worker.subscriber.bodies
    worker.subscriber.status = 200

    async def tried_again() -> bool:
        await worker.pumps["deliver"].run()
        return len(worker.subscriber.got) == 2

    await worker.wait_until(tried_again)
    assert worker.subscriber.bodies[1] == first
