"""A subscription that moves to another URL leaves the failures and pauses of the old one behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from processor import schedule
from processor.errors import StoreUnavailable
from processor.model import Subscription
from processor.service.subscriptions import update
from processor.service.subscriptions.update import UpdateSubscription

from ..desk import Desk, Subscriber


class Mover(Subscriber):
    """Answers as it is told at `/in`, once `answers` is set; 200 elsewhere."""

    def __init__(self) -> None:
        """Answer at once."""
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path != "/in":
            return web.Response()
        await self.answers.wait()
        return await super().answer(request)


@pytest.fixture
def subscriber_is() -> type[Subscriber]:
    return Mover


async def move(desk: Desk, target: Subscription) -> None:
    """Move a subscription to a URL that works."""
    url = desk.subscriber.url.replace("/in", "/new")
    await update.change(desk.context, target.id, UpdateSubscription(url=url))


@pytest.fixture(params=[1, 2])
async def paused(desk_of: Any, request: Any) -> tuple[Desk, Subscription]:
    """A subscription of which deliveries wait in every shard, since it is to be left alone for an hour."""
    desk: Desk = await desk_of(shards=request.param)
    desk.subscriber.status, desk.subscriber.headers = 503, {"Retry-After": "3600"}
    made = await desk.subscribe()
    await desk.finish("a")
    await desk.round()
    await desk.finish(*"bcdefgh")
    await desk.round()
    assert desk.subscriber.asked == ["/in"]
    return desk, made


async def test_deliveries_to_a_new_url_do_not_wait_for_the_pause_of_the_old_one(
    paused: tuple[Desk, Subscription],
):
    desk, made = paused
    await move(desk, made)
    await desk.round()
    assert desk.subscriber.asked == ["/in", *["/new"] * 7]
    assert await desk.store.failure_scores.all(await desk.store.now()) == {}


async def test_a_move_that_was_answered_503_ends_the_pause_all_the_same(
    paused: tuple[Desk, Subscription], monkeypatch: pytest.MonkeyPatch
):
    """Repeated, the move finds the new URL already."""
    desk, made = paused
    forget, times = desk.store.failure_scores.forget, 0

    async def once(target: str) -> None:
        nonlocal times
        times += 1
        if times == 2:  # after the change
            raise StoreUnavailable("Redis went away")
        await forget(target)

    monkeypatch.setattr(desk.store.failure_scores, "forget", once)
    with pytest.raises(StoreUnavailable):
        await move(desk, made)
    await move(desk, made)
    await desk.round()
    assert desk.subscriber.asked == ["/in", *["/new"] * 7]


async def test_enabling_ends_a_pause(paused: tuple[Desk, Subscription]):
    desk, made = paused
    desk.subscriber.status = 200
    await update.enable(desk.context, made.id)
    await desk.round()
    assert desk.subscriber.asked == ["/in"] * 8


async def test_what_waits_while_it_is_disabled_and_moved_is_delivered_once_it_is_enabled(
    paused: tuple[Desk, Subscription],
):
    desk, made = paused
    await update.disable(desk.context, made, "by hand")
    await move(desk, made)
    await desk.round()
    await update.enable(desk.context, made.id)
    await desk.round()
    assert desk.subscriber.asked == ["/in", *["/new"] * 7]


async def test_another_change_leaves_the_pause(paused: tuple[Desk, Subscription]):
    desk, made = paused
    settings = UpdateSubscription(url=made.url, concurrency=8, rate="1000/1m")
    await update.change(desk.context, made.id, settings)
    await desk.round()
    assert desk.subscriber.asked == ["/in"]


Answer = Callable[..., Awaitable[tuple[Desk, Subscription]]]


@pytest.fixture
async def late(desk: Desk, wait_until: Any) -> AsyncIterator[Answer]:
    """Has the old URL answer after the subscription has moved."""

    async def make(status: int, **headers: str) -> tuple[Desk, Subscription]:
        subscriber: Any = desk.subscriber
        subscriber.status, subscriber.headers = status, headers
        subscriber.answers.clear()
        made = await desk.subscribe()
        await desk.finish("a")
        attempt = asyncio.create_task(desk.round())
        await wait_until(lambda: subscriber.asked == ["/in"])
        await move(desk, made)
        subscriber.answers.set()
        await attempt
        return desk, made

    return make


async def test_a_late_failure_of_the_old_url_does_not_count(late: Answer):
    desk, made = await late(503, **{"Retry-After": "3600"})
    assert await desk.store.failure_scores.all(await desk.store.now()) == {}
    assert await desk.store.backlogs.paused_lanes("deliver") == set()
    await desk.deliver()
    assert await desk.states(made) == {"delivered": 1}


@pytest.mark.parametrize(
    ("status", "headers"), [(503, {}), (410, {}), (500, {"webhook-delivery": "disable"})]
)
async def test_what_the_old_url_did_not_take_is_tried_at_the_new_one(
    late: Answer, status: int, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(schedule, "RETRY_DELAYS", ())  # it was the last attempt
    desk, made = await late(status, **headers)
    found = await desk.store.subscriptions.get(made.id)
    assert found
    assert found.disabled is None
    await desk.deliver()
    assert desk.subscriber.asked == ["/in", "/new"]
    assert await desk.states(made) == {"delivered": 1}


async def test_a_failure_beside_a_removal_leaves_nothing(desk: Desk):
    desk.subscriber.status = 500
    made = await desk.subscribe()
    await desk.finish("a")
    (claims,) = [await desk.bench.claim(keys, "deliver") for keys in desk.store.shards]
    deliverer = desk._deliverer
    (post,) = await deliverer.read(claims)
    assert await desk.store.subscriptions.remove(made.id)
    await deliverer.deliver(post)
    assert await desk.store.failure_scores.all(await desk.store.now()) == {}
