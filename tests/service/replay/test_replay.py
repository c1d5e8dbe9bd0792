"""Replay and retry: nothing twice, nothing lost, wherever it is interrupted."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from processor.errors import Conflict, InvalidValue, NotFound, StoreUnavailable
from processor.model import Retention, Subscription
from processor.service.delivery import history
from processor.service.replay import retry, scan_log
from processor.service.subscriptions import manage, update
from processor.service.subscriptions.update import UpdateSubscription
from processor.service.subscriptions.validation import lane_of_target
from processor.store import redeliveries
from processor.store.keys import day_of

from ..desk import SECRET, Desk, Subscriber

# --- replay -------------------------------------------------------------------------------


async def test_a_replay_delivers_missed_events_once_and_in_order(desk: Desk):
    await desk.finish(*"cab")
    made = await desk.subscribe()
    assert await desk.replay(made) == (3, 0, 0, 0)
    assert await desk.replay(made) == (0, 3, 0, 0)
    await desk.deliver()
    assert desk.subscriber.got == await desk.ids()
    assert await desk.replay(made) == (0, 0, 3, 0)
    assert len(desk.subscriber.got) == 3
    assert await desk.kept() == []


async def test_delivered_events_are_replayed_only_with_again(desk: Desk):
    made = await desk.subscribe()
    await desk.finish("a", "b")
    await desk.deliver()
    assert await desk.replay(made) == (0, 0, 2, 0)
    assert await desk.replay(made, again=True) == (2, 0, 0, 0)
    assert await desk.replay(made, again=True) == (0, 2, 0, 0)
    await desk.deliver()
    assert Counter(desk.subscriber.got) == dict.fromkeys(await desk.ids(), 2)


async def test_a_replayed_event_has_the_same_bytes(desk: Desk):
    made = await desk.subscribe(events=["job.started", "job.completed"])
    await desk.finish("a", status="running")
    await desk.finish("a")
    await desk.deliver()
    first = sorted(map(json.dumps, desk.subscriber.bodies))
    assert await desk.replay(made, again=True) == (2, 0, 0, 0)
    await desk.deliver()
    assert sorted(map(json.dumps, desk.subscriber.bodies)) == sorted(first * 2)


NARROWER: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({}, {}, 3),
    ({"events": ["job.failed"]}, {}, 1),
    ({"events": ["job.started", "job.completed"]}, {}, 4),
    ({"sources": ["other"]}, {}, 1),
    ({"providers": ["lab"]}, {}, 3),
    ({"metadata": {"colour": "red"}}, {}, 1),
    ({}, {"events": ("job.failed",)}, 1),
    ({}, {"events": ("job.started",)}, 0),  # narrower, never wider
    ({}, {"source": "other"}, 1),
    ({"sources": ["lab"]}, {"source": "other"}, 0),
    ({}, {"until": "23h"}, 0),
    ({}, {"since": "0s"}, 0),
    ({}, {"since": "2026-01-01T00:00:00Z"}, 3),
    ({}, {"since": "2026-01-01T00:00:00+05:00", "until": "2026-01-02T00:00:00Z"}, 0),
    ({}, {"state": "failed"}, 0),
]


@pytest.mark.parametrize(("wanted", "fields", "queued"), NARROWER)
async def test_a_replay_applies_both_filters(
    desk: Desk, wanted: dict[str, Any], fields: dict[str, Any], queued: int
):
    await desk.bench.watch("red", poll=False, metadata={"colour": "red"})
    await desk.bench.push("other", id="x", status="succeeded")
    await desk.finish("red", status="running")
    await desk.finish("red")
    await desk.finish("bad", status="failed")
    made = await desk.subscribe(**wanted)
    await asyncio.sleep(0.01)  # our time lags behind Redis' by a network delay
    assert await desk.replay(made, **fields) == (queued, 0, 0, 0)
    await desk.deliver()
    assert len(desk.subscriber.got) == queued


BAD: list[tuple[dict[str, Any], str]] = [
    ({"since": None}, "since"),
    ({"since": "yesterday"}, "since"),
    ({"since": "2026-01-01T00:00:00"}, "zone"),
    ({"until": "soon"}, "until"),
    ({"events": ("job.exploded",)}, "job.exploded"),
    ({"source": "nobody"}, "nobody"),
]


@pytest.mark.parametrize(("fields", "named"), BAD)
async def test_an_invalid_replay_request_is_refused_with_the_field(
    desk: Desk, fields: dict[str, Any], named: str
):
    made = await desk.subscribe()
    with pytest.raises(InvalidValue, match=named):
        await desk.replay(made, **fields)


async def test_a_disabled_or_unknown_subscription_is_not_replayed(desk: Desk):
    made = await desk.subscribe()
    await update.disable(desk.context, made, "by hand")
    with pytest.raises(Conflict, match="enable"):
        await desk.replay(made)
    with pytest.raises(NotFound):
        await desk.replay(replace(made, id="sub_nobody"))


@pytest.mark.parametrize("broken", range(1, 5))
async def test_an_interrupted_replay_can_be_repeated(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, broken: int
):
    monkeypatch.setattr(scan_log, "PAGE", 3)
    await desk.finish(*map(str, range(14)))
    made, pages = await desk.subscribe(), 0
    queue = desk.store.redeliveries.queue

    async def breaks(*args: Any, **options: Any) -> Any:
        nonlocal pages
        pages += 1
        done = await queue(*args, **options)
        if pages == broken:
            raise StoreUnavailable("the answer was lost")
        return done

    monkeypatch.setattr(desk.store.redeliveries, "queue", breaks)
    with pytest.raises(StoreUnavailable):
        await desk.replay(made)
    await desk.round()  # some or all of what was enqueued is delivered in between
    queued, pending, before, gone = await desk.replay(made)
    assert (queued, pending + before, gone) == (14 - 3 * broken, 3 * broken, 0)
    await desk.deliver()
    assert sorted(desk.subscriber.got) == sorted(await desk.ids())
    assert await desk.kept() == []


async def test_a_large_replay_continues_in_further_calls(
    desk_of: Any, monkeypatch: pytest.MonkeyPatch
):
    desk = await desk_of(shards=3)
    monkeypatch.setattr(scan_log, "PAGE", 4)
    monkeypatch.setattr(scan_log, "MAX_EVENTS_SCANNED", 8)
    await desk.finish(*map(str, range(30)))
    made, calls = await desk.subscribe(), 1
    total = (await desk.replay(made))[0]
    while desk.past.next:
        total += (await desk.replay(made, after=desk.past.next))[0]
        calls += 1
    assert (total, calls) == (30, pytest.approx(5, abs=2))
    await desk.deliver()
    assert sorted(desk.subscriber.got) == sorted(await desk.ids())


async def test_a_replay_stops_at_the_limit_of_pending_deliveries(
    desk_of: Any, monkeypatch: pytest.MonkeyPatch
):
    desk: Desk = await desk_of(keep=Retention(waiting=4))
    monkeypatch.setattr(scan_log, "PAGE", 2)
    await desk.finish(*map(str, range(6)))
    made = await desk.subscribe()
    assert await desk.replay(made) == (4, 0, 0, 0)
    with pytest.raises(Conflict, match="4 deliveries are pending"):
        await desk.replay(made, after=desk.past.next)
    cursor = desk.past.next
    await desk.deliver()
    assert await desk.replay(made, after=cursor) == (2, 0, 0, 0)


async def test_two_replays_at_once_enqueue_everything_once(desk: Desk):
    await desk.finish(*map(str, range(20)))
    made = await desk.subscribe()
    done = await asyncio.gather(*(desk.replay(made) for _ in range(4)), desk.deliver())
    await desk.deliver()
    assert sum(one[0] for one in done if one) == 20
    assert sorted(desk.subscriber.got) == sorted(await desk.ids())


async def test_a_delivery_that_ends_during_a_replay_is_not_made_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """It was pending when the records were read, and delivered when it was to be enqueued."""
    made = await desk.subscribe()
    await desk.finish("a")
    between = desk.store.events.between

    async def meanwhile(*args: Any) -> Any:
        await desk.deliver()
        return await between(*args)

    monkeypatch.setattr(desk.store.events, "between", meanwhile)
    assert await desk.replay(made) == (0, 0, 1, 0)
    assert len(desk.subscriber.got) == 1


async def test_delivered_events_are_known_as_long_as_the_log_has_them(desk: Desk):
    """However many ended behind it: their records are a stream of about a thousand."""
    made = await desk.subscribe()
    await desk.finish("a", "b")
    await desk.deliver()
    redis, keys = desk.store.connection.redis, desk.store.shards[0]
    await redis.delete(keys.delivered(made.id))
    await desk.finish("c")
    assert await desk.replay(made) == (0, 1, 2, 0)
    assert await desk.replay(made, again=True) == (2, 1, 0, 0)


async def test_events_delivered_on_any_day_of_the_log_are_not_repeated(desk: Desk):
    made = await desk.subscribe()
    await desk.finish("a")
    await desk.deliver()
    redis, keys = desk.store.connection.redis, desk.store.shards[0]
    await redis.delete(keys.delivered(made.id))
    today = day_of(await desk.store.now())
    (now,) = [key async for key in redis.scan_iter("*}:delivered_ids:*")]
    for ago in range(9):
        await redis.rename(now, now := keys.delivered_ids(made.id, today - ago))
        assert await desk.replay(made) == (0, 0, 1, 0), ago
    await redis.delete(now)
    assert await desk.replay(made) == (1, 0, 0, 0)


async def test_a_day_of_more_than_the_log_keeps_holds_what_arrived_last(
    desk_of: Any,
):
    desk = await desk_of(keep=Retention(events_count=1, waiting=3))
    made = await desk.subscribe()
    redis, keys = desk.store.connection.redis, desk.store.shards[0]
    for job in "abcdefghi":
        await desk.finish(job)
        await desk.deliver()
    assert sorted(
        [await redis.scard(key) async for key in redis.scan_iter("*}:delivered_ids:*")]
    ) == [1, 4]
    await redis.delete(keys.delivered(made.id))
    for _ in range(2):  # a replay stops at three that wait
        await desk.replay(made)
        await desk.deliver()
    assert desk.subscriber.got[9:] == (await desk.ids())[:4]


async def test_a_log_that_is_not_trimmed_yet_repeats_nothing_that_arrived(desk_of: Any):
    """It is trimmed once a minute: a burst makes it longer than it may be."""
    desk = await desk_of(keep=Retention(events_count=2))
    made = await desk.subscribe()
    for job in "abcdefg":
        await desk.finish(job)
        await desk.deliver()
    redis, keys = desk.store.connection.redis, desk.store.shards[0]
    await redis.delete(keys.delivered(made.id))
    assert await desk.replay(made) == (0, 0, 7, 0)


async def test_only_delivered_events_are_remembered_by_day(desk: Desk):
    """What failed or was canceled is to come again."""
    made = await desk.subscribe()
    desk.subscriber.status = 410
    await desk.finish("a")
    await desk.deliver()
    redis = desk.store.connection.redis
    assert [key async for key in redis.scan_iter("*}:delivered_ids:*")] == []
    await update.enable(desk.context, made.id)
    desk.subscriber.status = 200
    assert await desk.replay(made) == (1, 0, 0, 0)
    await desk.deliver()
    (key,) = [key async for key in redis.scan_iter("*}:delivered_ids:*")]
    assert await redis.smembers(key) == {event.encode() for event in await desk.ids()}
    assert await redis.ttl(key) == pytest.approx(8 * 86_400, abs=5)


async def test_a_body_is_kept_until_its_last_delivery_ends(desk: Desk):
    one = await desk.subscribe()
    await desk.finish("a")
    two = await desk.subscribe()
    assert await desk.replay(two) == (1, 0, 0, 0)
    (key,) = await desk.kept()
    assert await desk.store.connection.redis.hget(key, "n") == b"2"
    await desk.deliver()
    assert await desk.kept() == []
    assert await desk.states(one) == await desk.states(two) == {"delivered": 1}


async def test_a_replay_counts_trimmed_events_and_returns_the_oldest_time(desk: Desk):
    made = await desk.subscribe()
    desk.subscriber.status = 410
    await desk.finish("a")
    await desk.deliver()
    await update.enable(desk.context, made.id)
    desk.subscriber.status = 200
    await desk.finish("b")
    await desk.deliver()
    redis, keys = desk.store.connection.redis, desk.store.shards[0]
    *_, (second, _) = await redis.xrange(keys.log)
    await desk.store.connection.run("trim_event_log", [keys.log, keys.trimmed], [second, 100])
    assert await desk.replay(made) == (0, 0, 1, 1)
    assert desk.past.oldest is not None
    assert desk.past.oldest.timestamp() == int(second.partition(b"-")[0]) / 1000
    assert await desk.replay(made, state="failed") == (0, 0, 0, 1)
    assert await desk.replay(made, since="0s") == (0, 0, 0, 0)
    assert desk.past.oldest is None
    (dead,) = await history.list_deliveries(desk.context, made.id, "failed", 9)
    with pytest.raises(Conflict, match="not in the log"):
        await retry.retry(desk.context, dead["id"])


async def test_a_repeated_delivery_is_listed_once_with_its_present_state(desk: Desk):
    made = await desk.subscribe()
    desk.subscriber.status = 410
    await desk.finish("a")
    await desk.deliver()
    await update.enable(desk.context, made.id)
    assert await desk.replay(made, state="failed") == (1, 0, 0, 0)
    assert await desk.states(made) == {"pending": 1}
    assert await history.list_deliveries(desk.context, made.id, "failed", 9) == []
    desk.subscriber.status = 200
    await desk.deliver()
    assert await desk.states(made) == {"delivered": 1}
    assert await history.list_deliveries(desk.context, made.id, "failed", 9) == []


async def test_a_delivery_without_its_event_is_canceled_with_the_reason(desk: Desk):
    made = await desk.subscribe()
    await desk.finish("a")
    (body,) = await desk.kept()
    await desk.store.connection.redis.delete(body)
    await desk.deliver()
    (one,) = await history.list_deliveries(desk.context, made.id, None, 9)
    assert (one["state"], one["reason"]) == ("canceled", "its event is no longer kept")


async def test_dead_letters_can_be_replayed(desk: Desk):
    made = await desk.subscribe()
    await desk.finish("good")
    await desk.deliver()
    desk.subscriber.status = 410
    await desk.finish("x", "y", "z")
    await desk.round()
    await desk.deliver()
    assert (await desk.states(made))["delivered"] == 1
    assert (await update.enable(desk.context, made.id)).disabled is None
    desk.subscriber.status, desk.subscriber.got = 200, []
    assert await desk.replay(made, state="failed") == (3, 0, 0, 0)
    await desk.deliver()
    assert len(desk.subscriber.got) == 3
    assert await desk.replay(made, state="failed") == (0, 0, 0, 0)
    assert await desk.replay(made) == (0, 0, 4, 0)


# --- since --------------------------------------------------------------------------------


async def test_a_subscription_with_since_receives_past_events(desk: Desk):
    await desk.finish("a", "b")
    await desk.finish("c", status="running")
    made = await desk.subscribe(since="24h")
    assert desk.past.queued == 2
    await desk.finish("c")
    await desk.deliver()
    assert sorted(desk.subscriber.got) == sorted((await desk.ids())[:2] + (await desk.ids())[3:])
    await desk.subscribe(since="0s")
    assert desk.past.queued == 0
    await desk.subscribe()
    assert desk.past is None
    assert await desk.states(made) == {"delivered": 3}


async def test_a_past_that_was_cut_short_says_where_to_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """The subscription is there, and its secret is shown only this once."""
    await desk.finish("a", "b")

    async def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("Redis is full")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store.redeliveries, "queue", away)
        made = await desk.subscribe(since="24h")
    assert desk.past.next is not None
    assert await desk.replay(made, after=desk.past.next) == (2, 0, 0, 0)


async def test_a_bad_since_makes_no_subscription(desk: Desk):
    with pytest.raises(InvalidValue, match="since"):
        await desk.subscribe(since="soon")
    assert await desk.store.subscriptions.listed() == []


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_subscription_created_under_load_gets_every_event_once(desk_of: Any, shards: int):
    """Jobs complete, others deliver, while subscriptions are made: with `since` each gets every
    completion once; without, every one that is committed after it was made.
    """
    desk = await desk_of(shards=shards)
    other = Desk(desk.bench, desk.subscriber)  # a second process's worth of deliveries
    count, ended, late = 300, asyncio.Event(), {}
    whole, making = list[str](), list[asyncio.Task[None]]()

    async def complete(part: int) -> None:
        for number in range(part, count, 3):
            await desk.finish(f"job{number}")
            if number % 60 == 30:
                making.append(asyncio.create_task(subscribe()))

    async def subscribe() -> None:
        whole.append((await desk.subscribe(since="24h")).id)
        made = await other.subscribe()
        late[made.id] = await desk.store.events.end()

    async def deliver(one: Desk) -> None:
        while not ended.is_set() or await one.waiting():
            await one.round()

    workers = [asyncio.create_task(deliver(one)) for one in (desk, other)]
    await asyncio.gather(*map(complete, range(3)))
    await asyncio.gather(*making)
    ended.set()
    await asyncio.gather(*workers)
    published = await desk.store.events.page(desk.store.events.start(), 10_000)
    assert len(published) == count
    assert len(whole) == len(late) == 5
    got = {target: Counter(await arrived(desk, target)) for target in (*whole, *late)}
    for target in whole:
        assert got[target] == Counter(event.id for event in published)
    for target, places in late.items():
        after = {e.id for e in published if desk.store.events.is_after(e, places)}
        assert after <= set(got[target])
        assert set(got[target].values()) <= {1}
    assert await desk.kept() == []


async def arrived(desk: Desk, target: str) -> list[str]:
    rows = await desk.store.deliveries.ended(target, 10_000)
    return [json.loads(row)["event_id"] for row in rows if json.loads(row)["state"] == "delivered"]


# --- retry --------------------------------------------------------------------------------


async def only(desk: Desk, made: Subscription, state: str | None = None) -> str:
    (row,) = await history.list_deliveries(desk.context, made.id, state, 9)
    return str(row["id"])


async def test_retry_makes_a_pending_delivery_due_now(desk: Desk):
    made = await desk.subscribe()
    desk.subscriber.status = 503
    await desk.finish("a")
    await desk.round()
    delivery = await only(desk, made, "pending")
    keys, now = desk.store.shards[0], await desk.store.now()
    due = await desk.store.connection.redis.zscore(keys.retries("deliver", made.id), delivery)
    assert due > now * 1000
    result = await retry.retry(desk.context, delivery)
    assert (
        result == {"id": delivery, "state": "pending"} == await retry.retry(desk.context, delivery)
    )
    desk.subscriber.status = 200
    await desk.deliver()
    assert desk.subscriber.got == (await desk.ids()) * 2
    with pytest.raises(Conflict, match="again"):
        await retry.retry(desk.context, delivery)
    await retry.retry(desk.context, delivery, again=True)
    await desk.deliver()
    assert desk.subscriber.got == (await desk.ids()) * 3


async def test_retry_does_not_touch_a_delivery_in_progress(desk: Desk):
    made = await desk.subscribe()
    await desk.finish("a")
    (claim,) = await desk.bench.claim(desk.store.shards[0], "deliver")
    await retry.retry(desk.context, claim.item)
    assert await desk.bench.deliveries() == []
    assert await desk.states(made) == {"pending": 1}


@pytest.mark.parametrize("kept", [True, False])
async def test_a_retried_dead_letter_has_all_its_attempts_again(desk: Desk, kept: bool):  # noqa: FBT001
    """Its body is had from the log, or while another delivery keeps it, from there."""
    made = await desk.subscribe()
    desk.subscriber.status = 410
    await desk.finish("a")
    await desk.deliver()
    await update.enable(desk.context, made.id)
    if kept:
        await desk.replay(await desk.subscribe())
    delivery = await only(desk, made)
    await asyncio.gather(*(retry.retry(desk.context, delivery) for _ in range(5)))
    payload = await desk.store.connection.redis.hget(
        desk.store.shards[0].items["deliver"], delivery
    )
    assert b"attempts" not in payload
    desk.subscriber.status = 200
    await desk.deliver()
    assert desk.subscriber.got == (await desk.ids()) * (3 if kept else 2)
    assert await desk.kept() == []


async def test_a_canceled_delivery_can_be_retried(desk: Desk):
    made = await desk.subscribe()
    await desk.finish("a")
    await update.disable(desk.context, made, "by hand")
    await desk.deliver()
    delivery = await only(desk, made, "canceled")
    with pytest.raises(Conflict, match="enable"):
        await retry.retry(desk.context, delivery)
    await update.enable(desk.context, made.id)
    await retry.retry(desk.context, delivery)
    await desk.deliver()
    assert desk.subscriber.got == await desk.ids()


async def test_a_callback_of_a_job_is_retried_in_its_own_lane(desk: Desk):
    await desk.bench.watch("a", poll=False, callback_url=desk.subscriber.url)
    desk.subscriber.status = 410
    await desk.finish("a")
    await desk.deliver()
    (job,) = [await desk.bench.job("a")]
    delivery = f"{job.completion}.{job.callbacks[0].id}"
    desk.subscriber.status = 200
    await retry.retry(desk.context, delivery)
    await desk.deliver()
    assert desk.subscriber.got == [job.completion] * 2


async def test_deliveries_of_a_callback_are_found_behind_others_of_its_host(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(history, "MAX_LISTED", 200)
    monkeypatch.setattr(retry, "MAX_RETRIED", 200)
    monkeypatch.setattr(redeliveries, "PIECE", 50)
    await desk.bench.watch("a", poll=False, callback_url=desk.subscriber.url)
    desk.subscriber.status = 503
    await desk.finish("a")
    await desk.round()
    job, keys, now = await desk.bench.job("a"), desk.store.shards[0], await desk.store.now()
    callback = job.callbacks[0].id
    lane = lane_of_target(await retry.delivery_target(desk.context, callback))
    earlier = {f"evt_{n}.cb_other": int(now * 1000) + 1000 for n in range(900)}
    await desk.store.connection.redis.zadd(keys.retries("deliver", lane), earlier)
    (row,) = await history.list_deliveries(desk.context, callback, "pending", 10, lane)
    assert row["id"] == f"{job.completion}.{callback}"
    assert await retry.retry_all(desk.context, retry.RetryAllRequest(callback)) == 1
    assert await retry.retry_all(desk.context, retry.RetryAllRequest(callback)) == 0


@pytest.mark.parametrize("delivery", ["", "x", "evt_1.sub_nobody", "evt_1.cb_nobody", "evt_1."])
async def test_an_unknown_delivery_is_not_found(desk: Desk, delivery: str):
    with pytest.raises(NotFound):
        await retry.retry(desk.context, delivery)


async def test_a_delivery_of_an_event_before_the_subscription_is_not_found(desk: Desk):
    await desk.finish("a")
    made = await desk.subscribe()
    with pytest.raises(NotFound):
        await retry.retry(desk.context, f"{(await desk.ids())[0]}.{made.id}")


async def test_a_test_event_cannot_be_retried_once_it_is_dead(desk: Desk):
    made = await desk.subscribe()
    desk.subscriber.status = 410
    await manage.test(desk.context, made.id)
    await desk.deliver()
    await update.enable(desk.context, made.id)
    with pytest.raises(Conflict, match="subscriptions test"):
        await retry.retry(desk.context, await only(desk, made))


# --- change, enable, disable --------------------------------------------------------------


async def test_a_change_holds_for_the_next_commit(desk: Desk):
    made = await desk.subscribe(metadata={"a": 1})
    await desk.finish("a")
    new = await update.change(desk.context, made.id, UpdateSubscription(metadata={}))
    assert new == replace(made, metadata={}) == await manage.get(desk.context, made.id)
    await desk.finish("b")
    await desk.deliver()
    assert desk.subscriber.got == (await desk.ids())[1:]
    await update.change(
        desk.context, made.id, UpdateSubscription(events=("job.failed",), sources=("lab",))
    )
    await desk.finish("c")
    await desk.finish("d", status="failed")
    await desk.deliver()
    assert desk.subscriber.got == [(await desk.ids())[i] for i in (1, 3)]


async def test_changes_at_the_same_time_all_hold(desk_of: Any):
    desk = await desk_of(shards=2)
    made = await desk.subscribe()
    changes = [
        UpdateSubscription(url=f"{desk.subscriber.url}/new"),
        UpdateSubscription(events=("job.failed",)),
        UpdateSubscription(sources=("lab",)),
        UpdateSubscription(providers=("lab",)),
        UpdateSubscription(metadata={"a": 1}),
    ]
    await asyncio.gather(*(update.change(desk.context, made.id, fields) for fields in changes))
    new = await manage.get(desk.context, made.id)
    assert new == replace(
        made,
        url=f"{desk.subscriber.url}/new",
        events=("job.failed",),
        sources=("lab",),
        providers=("lab",),
        metadata={"a": 1},
    )
    for keys in desk.store.shards:
        assert (await desk.store.subscriptions.read(keys, [made.id], []))[0] == {made.id: new}


async def test_a_subscription_of_the_file_can_be_enabled_but_not_changed(
    desk_of: Any, subscriber: Subscriber
):
    filed = Subscription(id="sub_filed", url=subscriber.url, secrets=(SECRET,), static=True)
    desk = await desk_of(static={filed.id: filed})
    with pytest.raises(Conflict, match="configuration"):
        await update.change(desk.context, filed.id, UpdateSubscription(events=("job.failed",)))
    for turn in "12":
        subscriber.status = 410
        await desk.finish(f"a{turn}", f"b{turn}")
        await desk.deliver()
        assert (await manage.get(desk.context, filed.id)).disabled == "answered 410"
        await update.enable(desk.context, filed.id)
        assert await manage.get(desk.context, filed.id) == filed
        subscriber.status, subscriber.got = 200, []
        await desk.finish(f"c{turn}", f"d{turn}")
        await desk.deliver()
        assert len(subscriber.got) == 2


async def test_enabling_an_enabled_subscription_changes_nothing(desk: Desk):
    made = await desk.subscribe()
    version = (await desk.store.subscriptions.router(desk.store.shards[0], fresh=True)).version
    assert await update.enable(desk.context, made.id) == made
    assert (
        await desk.store.subscriptions.router(desk.store.shards[0], fresh=True)
    ).version == version
    with pytest.raises(NotFound):
        await update.enable(desk.context, "sub_nobody")


async def test_subscription_disabled_is_published_once_to_the_others(desk_of: Any):
    desk = await desk_of(shards=2)
    both = ["job.completed", "subscription.disabled"]
    gone = await desk.subscribe(events=both, url=f"{desk.subscriber.url}/gone")
    watcher = await desk.subscribe(events=["subscription.disabled"], sources=["other"])
    quiet = await desk.subscribe(events=["job.failed"])
    await asyncio.gather(*(update.disable(desk.context, gone, "answered 410") for _ in range(9)))
    (event,) = [i for i, kind in await desk.bench.events() if kind == "subscription.disabled"]
    await desk.deliver()
    assert desk.subscriber.got == [event]
    (body,) = desk.subscriber.bodies
    assert body["data"] == {"subscription": gone.id, "url": gone.url, "reason": "answered 410"}
    assert await desk.states(watcher) == {"delivered": 1}
    assert await desk.states(quiet) == await desk.states(gone) == {}
    await update.enable(desk.context, gone.id)
    assert await desk.replay(gone) == (0, 0, 0, 0)  # not its own `subscription.disabled`
    assert await desk.replay(quiet, events=("subscription.disabled",)) == (0, 0, 0, 0)
    late = await desk.subscribe(events=["subscription.disabled"], since="1h")
    assert desk.past.queued == 1
    await update.disable(desk.context, gone, "again")
    events = [i for i, kind in await desk.bench.events() if kind == "subscription.disabled"]
    assert len(set(events)) == 2
    await desk.deliver()
    assert await desk.states(late) == {"delivered": 2}


async def test_that_a_subscription_was_disabled_is_logged_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """Another change comes first, so it is written at the second try."""
    gone, other = await desk.subscribe(), await desk.subscribe()
    write, overtaken = desk.store.subscriptions._change, []

    async def second(*args: Any) -> bool:
        if not overtaken:
            overtaken.append(args)
            await update.change(desk.context, other.id, UpdateSubscription(concurrency=7))
        return await write(*args)

    monkeypatch.setattr(desk.store.subscriptions, "_change", second)
    with capture_logs() as lines:
        await update.disable(desk.context, gone, "answered 410")
        await update.disable(desk.context, gone, "answered 410")
    (line,) = [line for line in lines if line["event"] == "subscription_disabled"]
    assert (line["subscription"], line["reason"]) == (gone.id, "answered 410")


async def test_many_410s_at_once_publish_one_event(desk: Desk):
    gone = await desk.subscribe()
    watcher = await desk.subscribe(events=["subscription.disabled"])
    await desk.finish(*map(str, range(20)))
    desk.subscriber.status = 410
    await desk.round()
    assert (await manage.get(desk.context, gone.id)).disabled == "answered 410"
    assert await desk.states(watcher) == {"pending": 1}


async def test_a_subscription_whose_url_was_changed_is_not_disabled(desk: Desk):
    """The 410 came from the old URL."""
    made = await desk.subscribe()
    await update.change(desk.context, made.id, UpdateSubscription(url=f"{desk.subscriber.url}/new"))
    await update.disable(desk.context, made, "answered 410")
    assert (await manage.get(desk.context, made.id)).disabled is None
    assert await desk.bench.events() == []
    await manage.remove(desk.context, made.id)
    await update.disable(desk.context, made, "answered 410")
    assert await desk.store.subscriptions.listed() == []


async def test_an_interrupted_removal_can_be_repeated(desk_of: Any):
    """It is missing in the first shard, so nothing shows it; the others still deliver to it."""
    desk = await desk_of(shards=3)
    made = await desk.subscribe()
    await desk.store.connection.redis.hdel(desk.store.shards[0].subs, made.id)
    await manage.remove(desk.context, made.id)
    for keys in desk.store.shards:
        assert await desk.store.connection.redis.hlen(keys.subs) == 0
    for target in (made.id, "cb_1", "somebody"):
        with pytest.raises(NotFound, match=target):
            await manage.remove(desk.context, target)


async def test_a_replay_delivers_a_whole_missed_week(desk: Desk):
    """Disabled once, enabled, replayed: what arrived before comes no second time."""
    made = await desk.subscribe()
    await desk.finish(*(f"before{n}" for n in range(30)))
    await desk.deliver()
    desk.subscriber.status = 410
    await desk.finish(*(f"dying{n}" for n in range(5)))
    await desk.deliver()
    await desk.finish(*(f"meanwhile{n}" for n in range(40)))
    desk.subscriber.status = 200
    before = list(desk.subscriber.got[:30])
    desk.subscriber.got.clear()
    await update.enable(desk.context, made.id)
    await desk.finish("after")
    assert await desk.replay(made, since="168h") == (45, 1, 30, 0)
    await desk.deliver()
    assert sorted(before + desk.subscriber.got) == sorted(await desk.ids())
