"""What a worker still does when its time to drain is over is canceled: nothing is written about it, and
no error is logged.
"""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from dramatiq.asyncio import get_event_loop_thread

from processor.egress.resolver import SystemResolver
from workers import event_loop
from workers.event_loop import WorkerLoop

from ..desk import Desk, Subscriber

NOBODY: Any = None  # Dramatiq's broker and worker, which our middleware does not use


class SlowSubscriber(Subscriber):
    """Answers once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.answered = False

    async def answer(self, request: web.Request) -> web.Response:
        """Receive an event, and keep its sender waiting."""
        response = await super().answer(request)
        await self.may_answer.wait()
        self.answered = True
        return response


@pytest.fixture
def subscriber_is() -> type[Subscriber]:
    return SlowSubscriber


@pytest.fixture
async def worker(
    desk: Desk, subscriber: SlowSubscriber, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WorkerLoop]:
    """A worker's event loop, in its thread."""
    monkeypatch.setattr(event_loop, "DRAIN_TIMEOUT", 0.2)
    loop = WorkerLoop(desk.context.settings, pytest.fail)
    await asyncio.to_thread(loop.before_worker_boot, NOBODY, NOBODY)
    yield loop
    subscriber.may_answer.set()
    if get_event_loop_thread():  # the test has failed
        await end(loop)


def start_deliveries(worker: WorkerLoop) -> None:
    """Run the actor of deliveries, as a nudge does."""
    thread = get_event_loop_thread()
    assert thread
    asyncio.run_coroutine_threadsafe(worker.work("deliver"), thread.loop)


async def stop(worker: WorkerLoop) -> None:
    """End it as Dramatiq does, and let Python report what was left behind."""
    assert worker.pumps["deliver"]._running
    await end(worker)
    worker.pumps.clear()
    gc.collect()


async def end(worker: WorkerLoop) -> None:
    await asyncio.to_thread(worker.before_worker_shutdown, NOBODY, NOBODY)
    await asyncio.to_thread(worker.after_worker_shutdown, NOBODY, NOBODY)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


async def test_a_callback_under_way_is_no_failed_attempt(
    desk: Desk,
    worker: WorkerLoop,
    subscriber: SlowSubscriber,
    wait_until: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = await desk.subscribe()
    await desk.finish("1")
    start_deliveries(worker)
    await wait_until(lambda: subscriber.got)
    await stop(worker)
    ((payload, _),) = await desk.store.deliveries.pending(made.id, made.id, 10)
    assert b'"attempts":[{' not in payload
    assert await desk.store.failure_scores.all(await desk.store.now()) == {}
    assert (await desk.store.backlogs.depth("deliver"))[0] == 1  # due when its lease ends
    assert errors(caplog) == []


async def test_a_callback_whose_end_redis_refuses_leaves_no_error(
    desk: Desk,
    worker: WorkerLoop,
    subscriber: SlowSubscriber,
    wait_until: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await desk.subscribe()
    await desk.finish("1")
    start_deliveries(worker)
    await wait_until(lambda: subscriber.got)
    redis = desk.store.connection.redis
    await redis.config_set("min-replicas-to-write", 1)
    try:
        subscriber.may_answer.set()
        await wait_until(lambda: subscriber.answered)
        await stop(worker)
    finally:
        await redis.config_set("min-replicas-to-write", 0)
    assert (await desk.store.backlogs.depth("deliver"))[0] == 1
    assert errors(caplog) == []


async def test_a_name_that_is_still_looked_up_leaves_no_error(
    desk: Desk,
    worker: WorkerLoop,
    wait_until: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = threading.Event()

    async def never(*_: Any) -> Any:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(SystemResolver, "resolve", never)
    await desk.subscribe(url="https://slow.example/in")
    await desk.finish("1")
    start_deliveries(worker)
    await wait_until(asked.is_set)
    await stop(worker)
    assert errors(caplog) == []
