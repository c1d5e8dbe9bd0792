"""Deliveries to subscriptions of a configuration file that this process has not read yet."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from processor.model import Retention, Subscription
from processor.service.replay.overflow import catch_up
from processor.service.subscriptions import ids, manage
from processor.service.subscriptions.ids import RELOAD, may_be_new, new_id

from ..desk import Desk

MOST = 5  # deliveries that may wait


@pytest.mark.parametrize(
    ("target", "age", "may"),
    [
        ("sub_billing", 0.0, True),
        ("sub_billing", RELOAD, False),  # all processes have read the file by now
        ("sub_0123456789abcdef", 0.0, False),  # of the form of `new_id`
        ("cb_https://example.com", 0.0, False),
    ],
)
def test_only_a_name_of_the_file_may_be_new(target: str, age: float, *, may: bool) -> None:
    assert may_be_new(target, 1000.0, 1000.0 + age) is may
    assert not may_be_new(new_id(), 1000.0, 1000.0)


async def known(desk: Desk) -> Subscription:
    """The subscription `[subscriptions.billing]`, as processes with the new file see it."""
    made = await desk.subscribe()
    await manage.remove(desk.context, made.id)
    billing = replace(made, id="sub_billing")
    await desk.store.subscriptions.save(billing)
    return billing


async def unknown(desk: Desk) -> None:
    """The same, as a process with the old file sees it."""
    keys = desk.store.shards[0]
    await desk.store.connection.redis.hdel(keys.subs, "sub_billing")


async def all_due(desk: Desk) -> None:
    """Make all deliveries due."""
    redis, keys = desk.store.connection.redis, desk.store.shards[0]
    for item in await redis.zrange(keys.due("deliver", "sub_billing"), 0, -1):
        await redis.zadd(keys.due("deliver", "sub_billing"), {item: 0})
    await redis.zadd(keys.lanes["deliver"], {"sub_billing": 0})


async def test_a_process_with_the_old_file_leaves_them_to_others(desk: Desk) -> None:
    billing = await known(desk)
    await desk.finish("1", "2")
    await unknown(desk)
    await desk.round()
    assert await desk.waiting() == 2
    await desk.store.subscriptions.save(billing)
    await all_due(desk)
    await desk.deliver()
    assert Counter(desk.subscriber.got) == Counter(await desk.ids())


async def test_those_of_a_subscription_that_was_removed_from_the_file_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(desk)
    await desk.finish("1")
    await unknown(desk)
    monkeypatch.setattr(ids, "RELOAD", 0.0)
    await desk.round()
    assert await desk.waiting() == 0
    assert desk.subscriber.got == []


async def test_a_clock_with_the_old_file_keeps_their_overflow(
    desk_of: Callable[..., Any],
) -> None:
    desk: Desk = await desk_of(keep=Retention(waiting=MOST))
    billing = await known(desk)
    await desk.finish(*(f"job{n}" for n in range(2 * MOST)))
    await unknown(desk)
    await catch_up(desk.context)
    await desk.store.subscriptions.save(billing)
    while await desk.waiting() or await desk.store.deliveries.overflow(desk.store.shards[0]):
        await desk.deliver()
        await catch_up(desk.context)
    assert Counter(desk.subscriber.got) == Counter(await desk.ids())
