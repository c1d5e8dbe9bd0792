"""A key with a value of another type: only work that needs it fails, and is done later."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from processor.errors import StoreUnavailable, WrongKeyType
from processor.model import State
from processor.service.jobs import watch
from processor.service.jobs.watch_request import PollSettings
from processor.service.replay import overflow
from processor.store.work_items import LaneLimits, Settlement
from workers import clock

MANY = 50
MINUTE = 60.0


@pytest.fixture
def spoiled(redis_url: str) -> Any:
    """Replace a key's value with one of another type for a while."""

    @contextmanager
    def hold(key: str) -> Iterator[None]:
        with Redis.from_url(redis_url) as redis:
            there = redis.exists(key)
            if there:
                redis.rename(key, "aside")
            redis.sadd(key, "not ours")
            yield
            redis.delete(key)
            if there:
                redis.rename("aside", key)

    return hold


async def make_due(bench: Any, backlog: str, lane: str) -> None:
    """Make items due that were postponed by a minute."""
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    for key in (keys.due(backlog, lane), keys.retries(backlog, lane)):
        for item in await redis.zrange(key, 0, -1):
            await redis.zadd(key, {item: 1})
    await redis.zadd(keys.lanes[backlog], {lane: 1})


KEYS = {
    "its record": lambda keys: keys.job("lab/25"),
    "its history": lambda keys: keys.history("lab/25"),
    "its alias": lambda keys: keys.job("lab/other-25"),
}


@pytest.mark.parametrize("which", KEYS)
async def test_one_bad_key_among_fifty_updates_stops_only_its_job(
    bench: Any, spoiled: Any, which: str
):
    names = [str(n) for n in range(MANY)]
    for name in names:
        more = {"alias": f"other-{name}"} if which == "its alias" else {}
        await bench.accept(id=name, status="succeeded", **more)
    with spoiled(KEYS[which](bench.store.shards[0])):
        await bench.ingest()
        ended = {kind for _, kind in await bench.events()}
        assert (len(await bench.events()), ended) == (MANY - 1, {"job.succeeded"})
        items, _ = await bench.store.backlogs.depth("ingest")
        assert items == 1
    await make_due(bench, "ingest", "lab")
    await bench.ingest()
    assert len({event for event, _ in await bench.events()}) == MANY == len(await bench.events())
    assert [(await bench.job(name)).state for name in names] == [State.SUCCEEDED] * MANY
    assert (await bench.store.backlogs.depth("ingest"))[0] == 0


async def test_an_update_that_cannot_be_written_is_tried_again_in_a_minute(
    bench: Any, spoiled: Any
):
    await bench.accept(id="1", status="succeeded")
    keys = bench.store.shards[0]
    with spoiled(keys.history("lab/1")):
        await bench.ingest()
        ((_, at),) = await bench.store.connection.redis.zrange(
            keys.due("ingest", "lab"), 0, -1, withscores=True
        )
        assert at / 1000 - await bench.store.now() == pytest.approx(MINUTE, abs=5)


async def test_an_event_log_of_another_type_stops_all_jobs_and_loses_nothing(
    bench: Any, spoiled: Any
):
    for name in "123":
        await bench.accept(id=name, status="succeeded")
    with spoiled(bench.store.shards[0].log), pytest.raises(StoreUnavailable, match=r"\{rb:0\}:log"):
        await bench.ingest()
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    assert await redis.keys("*:history:*") == []
    claimed = await redis.zrange(keys.claimed("ingest", "lab"), 0, -1)
    assert len(claimed) == 3


@pytest.mark.parametrize("part", ["job", "history"])
async def test_a_put_that_needs_a_bad_key_names_it(bench: Any, spoiled: Any, part: str):
    key = getattr(bench.store.shards[0], part)("lab/1")
    with spoiled(key), pytest.raises(WrongKeyType, match=f"{part}:lab/1 is a set"):
        await bench.watch("1")
    assert (await bench.watch("1"))[1]


async def test_a_push_whose_dedupe_key_is_bad_is_refused_and_not_a_duplicate(
    bench: Any, spoiled: Any, redis_url: str
):
    await bench.accept(id="1", status="running", event="e")
    with Redis.from_url(redis_url) as redis:
        (mark,) = redis.keys("*:seen:*")
        redis.delete(mark)
    with spoiled(mark.decode()), pytest.raises(WrongKeyType, match="seen:lab"):
        await bench.accept(id="1", status="running", event="e")
    assert (await bench.accept(id="1", status="running", event="e")).accepted == 1


async def test_a_poll_of_a_job_with_a_bad_key_is_postponed(
    bench: Any, provider: Any, polled: Any, spoiled: Any
):
    provider.says("1", status="running")
    await bench.watch("1")
    with spoiled(bench.store.shards[0].history("lab/1")):
        assert await polled(bench) == ["lab/1"]
        wait = await bench.due("poll", "lab/1") - await bench.store.now()
        assert wait == pytest.approx(MINUTE, abs=5)
    await watch.poll_now(bench.context, "lab", "1")
    assert await polled(bench) == ["lab/1"]
    assert (await bench.job("1")).state is State.RUNNING


async def test_a_bad_event_body_does_not_hold_up_other_deliveries(desk: Any, spoiled: Any):
    await desk.subscribe()
    await desk.finish("1", "2", "3")
    body = (await desk.kept())[1].decode()
    with spoiled(body):
        await desk.round()
        assert len(desk.subscriber.got) == 2
        assert await desk.waiting() == 1
    (lane,) = {s.id for s in await desk.store.subscriptions.listed()}
    await make_due(desk, "deliver", lane)
    await desk.deliver()
    assert len(desk.subscriber.got) == len(set(desk.subscriber.got)) == 3


async def test_a_delivery_that_cannot_be_recorded_is_not_sent_again(
    desk: Any, spoiled: Any, wait_until: Any
):
    made = await desk.subscribe()
    await desk.finish("1", "2")
    record = desk.store.shards[0].delivered(made.id)
    with spoiled(record):
        delivering = asyncio.create_task(desk.round())
        await wait_until(lambda: len(desk.subscriber.got) == 2)
        assert await desk.waiting() == 2
    await delivering
    assert len(desk.subscriber.got) == 2
    assert await desk.waiting() == 0


async def test_a_bad_lane_is_skipped_and_does_not_hold_up_others(bench: Any, spoiled: Any):
    await bench.accept(id="1", status="succeeded")
    await bench.accept(id="1", status="succeeded", source="other")
    with spoiled(bench.store.shards[0].due("ingest", "lab")):
        await bench.ingest()
        assert (await bench.job("1", "other")).state is State.SUCCEEDED
        assert await bench.events() != []
    await bench.ingest()
    assert (await bench.job("1")).state is State.SUCCEEDED


async def test_overflow_of_a_bad_subscription_does_not_hold_up_others(desk: Any, spoiled: Any):
    bad, good = await desk.subscribe(), await desk.subscribe()
    keys = desk.store.shards[0]
    await desk.finish("1")
    for target in (bad, good):
        for claim in await desk.store.backlogs.claim(keys, "deliver", 9, lambda _: LaneLimits(9)):
            await desk.store.backlogs.settle([Settlement(claim, event=claim.item.split(".")[0])])
        (end,) = await desk.store.events.end()
        await desk.store.connection.redis.hset(keys.overflow, target.id, f"0-0 {end}")
    with spoiled(keys.dead(bad.id)), pytest.raises(WrongKeyType, match=bad.id):
        await overflow.catch_up(desk.context)
    left = await desk.store.connection.redis.hkeys(keys.overflow)
    assert left == [bad.id.encode()]
    assert await desk.waiting() == 1


async def test_the_clock_nudges_the_backlogs_without_bad_keys(bench: Any, spoiled: Any):
    await bench.accept(id="1", status="succeeded")
    await bench.watch("2", poll=PollSettings("1h"))
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    await redis.delete(keys.nudge["ingest"], keys.busy["ingest"])
    with spoiled(keys.lanes["deliver"]), pytest.raises(StoreUnavailable, match="lanes:deliver"):
        await clock.nudge_due(bench.context)
    assert await redis.llen(keys.nudge["ingest"]) == 1
