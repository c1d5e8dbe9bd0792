"""Overflow of a subscription: it stays in the event log, and is delivered from there, complete and in order."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from processor.model import Retention
from processor.service.delivery import history
from processor.service.replay.overflow import catch_up
from processor.service.subscriptions import manage, update
from processor.store.stream_ids import position_at
from processor.store.work_items import NOW, Settlement

from ..desk import Desk

MOST = 6  # deliveries that wait

Make = Callable[..., Any]


@pytest.fixture
def full_of(desk_of: Make) -> Make:
    """A desk where few deliveries may wait."""

    async def make(**options: Any) -> Desk:
        made: Desk = await desk_of(keep=Retention(waiting=MOST), **options)
        return made

    return make


async def behind(desk: Desk) -> set[str]:
    """The subscriptions that have more to get from the log."""
    return {
        name for keys in desk.store.shards for name in await desk.store.deliveries.overflow(keys)
    }


async def caught_up(desk: Desk) -> None:
    """Deliver, and catch up, until nothing is left."""
    while await behind(desk) or await desk.waiting():
        await desk.deliver()
        await catch_up(desk.context)


async def finish(desk: Desk, count: int, first: int = 0) -> None:
    await desk.finish(*(f"job{n}" for n in range(first, first + count)))


@pytest.mark.parametrize("ordered", [False, True])
async def test_pending_deliveries_are_limited_and_all_events_arrive(full_of: Make, ordered: bool):  # noqa: FBT001
    desk: Desk = await full_of()
    made = await desk.subscribe(ordered=ordered)
    await finish(desk, 3 * MOST)
    for _ in range(2):
        assert await desk.waiting() == MOST
        assert await behind(desk) == {made.id}
        await desk.deliver()
        await catch_up(desk.context)
    await caught_up(desk)
    assert Counter(desk.subscriber.got) == Counter(await desk.ids())


async def test_overflow_enqueued_in_a_replaced_redis_is_enqueued_again(
    full_of: Make, monkeypatch: pytest.MonkeyPatch
):
    """A promoted replica may lack the deliveries of a walk that had begun at its master."""
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, 2 * MOST)
    await desk.deliver()
    servers = iter(("master", "replica", "replica", "replica"))

    async def server() -> str:
        return next(servers)

    monkeypatch.setattr(desk.store.fleet, "server", server)
    await catch_up(desk.context)
    assert await behind(desk) == {made.id}
    await desk.deliver()
    await catch_up(desk.context)
    assert await behind(desk) == set()
    await desk.deliver()
    assert Counter(desk.subscriber.got) == Counter(await desk.ids())


async def test_a_filter_that_changes_while_overflow_is_enqueued_counts_from_then_on(
    full_of: Make, monkeypatch: pytest.MonkeyPatch
):
    """What the changed filter wants is committed between the enqueuing and the end of a run."""
    desk: Desk = await full_of()
    made = await desk.subscribe(events=("job.failed",))
    for n in range(MOST + 2):
        await desk.finish(f"job{n}", status="failed")
    await desk.deliver()
    queue, changes = desk.store.redeliveries.queue, iter([("job.failed", "job.succeeded")])

    async def change_after(*args: Any, **options: Any) -> Any:
        queued = await queue(*args, **options)
        for events in changes:
            await update.change(desk.context, made.id, update.UpdateSubscription(events=events))
            await desk.finish("late")
        return queued

    monkeypatch.setattr(desk.store.redeliveries, "queue", change_after)
    await catch_up(desk.context)
    await caught_up(desk)
    assert Counter(desk.subscriber.got) == Counter(await desk.ids())


async def test_overflow_is_due_in_the_order_of_the_log(full_of: Make):
    desk: Desk = await full_of()
    await desk.subscribe()
    await finish(desk, 2 * MOST)
    await desk.deliver()
    await catch_up(desk.context)
    log = await desk.store.events.page(desk.store.events.start(), 99)
    published = {event.id: event.position.partition("-")[0] for event in log}
    claims = await desk.bench.claim(desk.store.shards[0], "deliver")
    times = [published[claim.item.partition(".")[0]] for claim in claims]
    assert (len(times), times) == (MOST, sorted(times))


async def test_new_events_join_the_overflow_until_it_is_empty(full_of: Make):
    """Otherwise new events would overtake them."""
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 1)
    await desk.deliver()
    await finish(desk, 1, MOST + 1)
    assert await desk.waiting() == 0
    assert await behind(desk) == {made.id}
    await caught_up(desk)
    await finish(desk, 1, MOST + 2)
    assert (await desk.waiting(), await behind(desk)) == (1, set())
    await desk.deliver()
    assert sorted(desk.subscriber.got) == sorted(await desk.ids())


async def test_overflow_waits_until_half_the_lane_is_delivered(full_of: Make):
    desk: Desk = await full_of()
    await desk.subscribe()
    await finish(desk, MOST + 1)
    await catch_up(desk.context)
    assert await desk.waiting() == MOST


async def test_an_overflow_does_not_affect_other_subscriptions(full_of: Make):
    desk: Desk = await full_of()
    full, other = await desk.subscribe(), await desk.subscribe(sources=["other"])
    await finish(desk, MOST + 1)
    await desk.bench.push("other", id="elsewhere", status="succeeded")
    assert await behind(desk) == {full.id}
    assert len(await history.list_deliveries(desk.context, other.id, "pending", 10)) == 1


@pytest.mark.parametrize("shards", [1, 3])
async def test_events_published_while_overflow_is_delivered_are_not_missed(
    full_of: Make, shards: int
):
    """Commits, deliveries and two clocks at the same time."""
    desk: Desk = await full_of(shards=shards)
    made, over = await desk.subscribe(), asyncio.Event()

    async def clock() -> None:
        while not over.is_set():
            await catch_up(desk.context)

    async def worker() -> None:
        while not over.is_set():
            await desk.round()

    others = [asyncio.create_task(one()) for one in (clock, clock, worker)]
    await asyncio.gather(*(finish(desk, 40, 40 * part) for part in range(3)))
    over.set()
    await asyncio.gather(*others)
    await caught_up(desk)
    assert Counter(desk.subscriber.got) == Counter(await desk.ids())
    assert await desk.states(made) == {"delivered": 120}


@pytest.mark.parametrize("how", [update.disable, None])
async def test_a_disabled_or_removed_subscription_has_no_overflow(full_of: Make, how: Any):
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 1)
    if how:
        await how(desk.context, made, "a test")
    else:
        await manage.remove(desk.context, made.id)
    await catch_up(desk.context)
    assert await behind(desk) == set()
    await desk.deliver()
    assert desk.subscriber.got == []


async def test_trimmed_overflow_is_logged_as_lost(
    full_of: Make, capsys: pytest.CaptureFixture[str]
):
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 3)
    redis, keys = desk.store.connection.redis, desk.store.shards[0]
    places = [place for place, _ in await redis.xrange(keys.log)]
    kept = int(places[-1].partition(b"-")[0])
    await desk.store.connection.run("trim_event_log", [keys.log, keys.trimmed], [f"{kept}-0", 1])
    await desk.deliver()
    await catch_up(desk.context)
    assert "events_lost" in capsys.readouterr().out
    await caught_up(desk)
    assert len(desk.subscriber.got) == MOST + 1
    assert await desk.states(made) == {"delivered": MOST + 1}


async def test_jobs_own_callbacks_are_not_bounded(full_of: Make):
    """A job has few, and the log is not read for them."""
    desk: Desk = await full_of()
    for n in range(MOST + 1):
        await desk.bench.watch(f"job{n}", callback_url=f"{desk.subscriber.url}/{n}")
    await finish(desk, MOST + 1)
    assert await desk.waiting() == MOST + 1


async def test_the_position_of_an_overflow_only_moves_forward(full_of: Make):
    """A second clock continues from there, and a slower clock does not move it back."""
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 2)
    keys, deliveries = desk.store.shards[0], desk.store.deliveries
    log = await desk.store.events.page(desk.store.events.start(), 99)
    first, *_, before, last = [event.position for event in log]
    noted = (await deliveries.overflow(keys))[made.id]
    assert not await deliveries.advance_overflow(keys, made.id, first)
    assert await deliveries.overflow(keys) == {made.id: noted}
    assert not await deliveries.advance_overflow(keys, made.id, before)
    assert await deliveries.overflow(keys) == {made.id: before}
    assert not await deliveries.advance_overflow(keys, made.id, first)
    assert await deliveries.overflow(keys) == {made.id: before}
    assert await deliveries.advance_overflow(keys, made.id, last)
    assert await deliveries.advance_overflow(keys, made.id, position_at(await desk.store.now()))
    assert await behind(desk) == set()


@pytest.mark.parametrize("shards", [1, 3])
async def test_overflow_is_counted_until_it_is_enqueued(full_of: Make, shards: int):
    desk: Desk = await full_of(shards=shards)
    await desk.subscribe()
    await desk.subscribe(events=["job.failed"])
    published = 3 * MOST * shards
    await finish(desk, published)
    counts = []
    while not counts or counts[-1]:
        await desk.store.memory.refresh_now()
        counts.append(desk.store.memory.use.overflow)
        assert counts[-1] + await desk.waiting() + len(desk.subscriber.got) == published
        await desk.deliver()
        await catch_up(desk.context)
    assert len(counts) > 2
    assert counts == sorted(counts, reverse=True)


async def test_overflow_that_an_older_version_noted_is_not_counted(full_of: Make):
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 1)
    keys, redis = desk.store.shards[0], desk.store.connection.redis
    span = await redis.hget(keys.overflow, made.id)
    await redis.hset(keys.overflow, made.id, span.rpartition(b" ")[0])
    await finish(desk, 1, MOST + 1)
    await desk.store.memory.refresh_now()
    assert desk.store.memory.use.overflow == 1
    await caught_up(desk)
    assert len(desk.subscriber.got) == MOST + 2


@pytest.mark.parametrize("kept", [0, MOST // 2])
async def test_trimmed_overflow_is_logged_even_when_the_lane_is_nearly_full(
    full_of: Make, capsys: pytest.CaptureFixture[str], kept: int
):
    desk: Desk = await full_of()
    await desk.subscribe()
    await finish(desk, 4 * MOST)
    keys = desk.store.shards[0]
    log = await desk.store.events.page(desk.store.events.start(), 99)
    args = [f"{log[2 * MOST].position.partition('-')[0]}-0", 99]
    await desk.store.connection.run("trim_event_log", [keys.log, keys.trimmed], args)
    claims = await desk.bench.claim(keys, "deliver")
    await desk.store.backlogs.settle([Settlement(claim) for claim in claims[kept:]])
    await catch_up(desk.context)
    again = [Settlement(claim, NOW, claim.payload) for claim in claims[:kept]]
    await desk.store.backlogs.settle(again)
    await desk.deliver()
    await catch_up(desk.context)
    assert capsys.readouterr().out.count("events_lost") == 1


async def test_a_restarted_clock_does_not_repeat_ended_deliveries(full_of: Make):
    """The first died before it noted how far it had come."""
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 2)
    keys = desk.store.shards[0]
    (noted,) = (await desk.store.connection.redis.hgetall(keys.overflow)).values()
    await desk.deliver()
    desk.subscriber.headers["webhook-delivery"] = "abort-message"
    desk.subscriber.status = 400
    await caught_up(desk)
    assert await desk.states(made) == {"delivered": MOST, "failed": 2}
    await desk.store.connection.redis.hset(keys.overflow, made.id, noted)
    await catch_up(desk.context)
    assert (await desk.waiting(), await behind(desk)) == (0, set())


async def test_an_enabled_subscription_receives_events_from_then_on(full_of: Make):
    """With and without a clock run in between."""
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 2)
    await update.disable(desk.context, made, "a test")
    await desk.deliver()
    await finish(desk, 1, MOST + 2)
    await update.enable(desk.context, made.id)
    await finish(desk, 1, MOST + 3)
    await caught_up(desk)
    assert desk.subscriber.got == (await desk.ids())[-1:]


async def test_enabling_an_enabled_subscription_keeps_its_overflow(full_of: Make):
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST + 2)
    await update.enable(desk.context, made.id)
    await caught_up(desk)
    assert len(desk.subscriber.got) == MOST + 2


async def test_a_slow_second_call_of_enable_keeps_the_overflow_of_later_events(
    full_of: Make, monkeypatch: pytest.MonkeyPatch
):
    desk: Desk = await full_of()
    made = await desk.subscribe()
    await finish(desk, MOST)
    await update.disable(desk.context, made, "a test")
    forget, reached, free = desk.store.failure_scores.forget, asyncio.Event(), asyncio.Event()

    async def wait_once(target: str) -> None:
        await forget(target)
        if not reached.is_set():
            reached.set()
            await free.wait()

    monkeypatch.setattr(desk.store.failure_scores, "forget", wait_once)
    slow = asyncio.create_task(update.enable(desk.context, made.id))
    await reached.wait()
    await update.enable(desk.context, made.id)
    await finish(desk, 1, MOST)
    free.set()
    await slow
    assert await behind(desk) == {made.id}
    await caught_up(desk)
    assert Counter(desk.subscriber.got) == Counter(await desk.ids())
