"""The pump: what it claims leaves room for others; work that an outage left unsettled is due again."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from processor.config import load
from processor.egress import Egress, Policy
from processor.errors import StoreUnavailable
from processor.model import Job
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.outage import Outage
from processor.store import Store
from processor.store.change import Change
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement, WorkItem
from workers import pump as pump_module, pumps
from workers.nudges import Nudges
from workers.pump import Pump, WorkUnit

LIMITS = LaneLimits(100)
UNAVAILABLE = StoreUnavailable("Redis does not answer")
JOB = Job("s", "p", "1", "u", 0.0, 1.0, 1.0)

StartBatch = Callable[[list[Claim]], Any]


@pytest.fixture
def context(store_of: Any, redis_url: str, tmp_path: Path) -> Context:
    """Leases last half a minute, so that work that is claimed again in a test was given back."""
    file = tmp_path / "ringback.toml"
    file.write_text("")
    store = store_of(shards=2, lease=30.0)
    return Context(load(file, {"REDIS_URL": redis_url}), store, Egress(Policy()), Metrics())


@pytest.fixture
def pump_of(context: Context) -> Callable[..., Pump]:
    def make(start_batch: StartBatch, *, claims_at_nudge: bool = False) -> Pump:
        return Pump(
            context,
            Outage("test"),
            "poll",
            max_in_flight=100,
            lane_limits=lambda _: LIMITS,
            start_batch=start_batch,
            claims_at_nudge=claims_at_nudge,
        )

    return make


def unit_per_claim(step: Callable[[Claim], Coroutine[Any, Any, None]]) -> StartBatch:
    """Each claim in its own work unit."""

    async def start_batch(claims: list[Claim]) -> list[WorkUnit]:
        return [([claim], step(claim)) for claim in claims]

    return start_batch


async def fail(claim: Claim) -> None:
    raise UNAVAILABLE


async def put(store: Store, *items: str, shard: int = 0) -> None:
    await put_in("poll", store, "s", *items, shard=shard)


async def put_in(backlog: str, store: Store, lane: str, *items: str, shard: int = 0) -> None:
    puts = [WorkItem(backlog, lane, item, NOW, item.encode()) for item in items]
    change = Change(JOB, "", save=False, items=puts)
    assert await store.jobs.commit(store.shards[shard], "0", [change]) == [True]


async def due(store: Store) -> list[tuple[str, bytes]]:
    """What can be claimed now, with its payload."""
    rows = [await store.backlogs.claim(k, "poll", 100, lambda _: LIMITS) for k in store.shards]
    return sorted((c.item, c.payload) for row in rows for c in row)


async def ended(pump: Pump, wait_until: Any) -> None:
    await pump.run()
    await wait_until(lambda: not pump._running)


@pytest.mark.parametrize("hanging", [1, 20, 100])
async def test_subscribers_that_hang_do_not_fill_a_worker(
    context: Context, wait_until: Any, hanging: int
):
    hold, called = asyncio.Event(), set[str]()

    async def call(claim: Claim) -> None:
        called.add(claim.lane)
        if claim.lane != "healthy":
            await hold.wait()

    pump = pumps.deliver(context, Outage("test"))
    pump._lane_limits = lambda _: LIMITS
    pump._start_batch = unit_per_claim(call)
    for lane in range(hanging):
        await put_in("deliver", context.store, f"{lane}", *(f"{lane}/{n}" for n in range(60)))
    running = asyncio.create_task(pump.run())
    await wait_until(lambda: running.done() or pump._in_flight >= 1000)
    assert len(called) == hanging
    with pump.kept_free(1) as limit:
        assert limit == 1  # for a commit
    await put_in("deliver", context.store, "healthy", "x")
    await asyncio.gather(running, pump.run())
    await wait_until(lambda: "healthy" in called)
    hold.set()
    await wait_until(lambda: not pump._running)


async def test_a_commit_takes_a_part_of_the_free_capacity_as_a_claim_does(context: Context):
    pump = pumps.deliver(context, Outage("test"))
    pump._in_flight = 700
    with pump.kept_free(300) as limit:
        assert limit == 100
    pump._in_flight = 1000
    with pump.kept_free(1) as limit:
        assert limit == 0


async def test_an_empty_worker_claims_deliveries_in_large_batches(
    context: Context, wait_until: Any
):
    sizes = []

    async def start_batch(claims: list[Claim]) -> list[WorkUnit]:
        sizes.append(len(claims))
        return []

    pump = pumps.deliver(context, Outage("test"))
    pump._lane_limits = lambda _: LaneLimits(1000)
    pump._start_batch = start_batch
    await put_in("deliver", context.store, "fast", *(f"{n}" for n in range(300)))
    await pump.run()
    assert sizes[0] == 200


async def test_work_that_redis_failed_is_due_again_at_once(
    context: Context, pump_of: Any, wait_until: Any
):
    pump = pump_of(unit_per_claim(fail))
    for shard, items in enumerate([("a", "b"), ("c",)]):
        await put(context.store, *items, shard=shard)
    await ended(pump, wait_until)
    assert await due(context.store) == []  # its lease has not expired
    await pump.give_back()
    assert await due(context.store) == [("a", b"a"), ("b", b"b"), ("c", b"c")]
    await pump.give_back()
    assert await due(context.store) == []  # given back once


async def test_a_batch_that_redis_failed_is_due_again_at_once(context: Context, pump_of: Any):
    async def start_batch(claims: list[Claim]) -> list[WorkUnit]:
        raise UNAVAILABLE

    pump = pump_of(start_batch)
    await put(context.store, "a", "b")
    await pump.run()
    await pump.give_back()
    assert await due(context.store) == [("a", b"a"), ("b", b"b")]


async def test_work_whose_settlement_was_written_is_not_due_again(
    context: Context, pump_of: Any, wait_until: Any
):
    later = await context.store.now() + 60

    async def answer_lost(claim: Claim) -> None:
        settled = Settlement(claim) if claim.item == "over" else Settlement(claim, later, b"later")
        await context.store.backlogs.settle([settled])
        raise UNAVAILABLE

    pump = pump_of(unit_per_claim(answer_lost))
    await put(context.store, "over", "put off")
    await ended(pump, wait_until)
    await pump.give_back()
    assert await due(context.store) == []
    assert (await context.store.backlogs.depth("poll"))[0] == 1


async def test_work_that_another_worker_has_claimed_is_not_given_back(
    store_of: Any, context: Context, pump_of: Any, wait_until: Any
):
    brief = store_of(shards=2, lease=0.05)
    pump = pump_of(unit_per_claim(fail))
    pump._context = context._replace(store=brief)
    await put(brief, "a")
    await ended(pump, wait_until)
    theirs: list[Claim] = []

    async def claimed() -> list[Claim]:
        keys = context.store.shards[0]
        theirs.extend(await context.store.backlogs.claim(keys, "poll", 1, lambda _: LIMITS))
        return theirs

    await wait_until(claimed)
    await pump.give_back()
    assert await due(context.store) == []
    assert await context.store.backlogs.settle([Settlement(theirs[0])]) == [True]


async def test_work_that_fails_otherwise_is_due_when_its_lease_expires(
    context: Context, pump_of: Any, wait_until: Any
):
    """If it were due at once, it would fail again and again without a pause."""

    async def broken(claim: Claim) -> None:
        raise ValueError(claim.item)

    pump = pump_of(unit_per_claim(broken))
    await put(context.store, "a")
    await ended(pump, wait_until)
    await pump.give_back()
    assert await due(context.store) == []
    assert (await context.store.backlogs.depth("poll"))[0] == 1


async def test_claims_that_cannot_be_given_back_yet_are_kept(
    context: Context, pump_of: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
):
    async def still_away(settled: Sequence[Settlement]) -> list[bool]:
        raise UNAVAILABLE

    pump = pump_of(unit_per_claim(fail))
    await put(context.store, "a")
    await put(context.store, "b", shard=1)
    await ended(pump, wait_until)
    with monkeypatch.context() as patch:
        patch.setattr(context.store.backlogs, "settle", still_away)
        with pytest.raises(StoreUnavailable):
            await pump.give_back()
    await pump.give_back()
    assert await due(context.store) == [("a", b"a"), ("b", b"b")]


async def test_claims_added_during_give_back_are_given_back_too(
    context: Context, pump_of: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
):
    held, hold, settle = asyncio.Event(), asyncio.Event(), context.store.backlogs.settle

    async def slowly(settled: Sequence[Settlement]) -> list[bool]:
        held.set()
        await hold.wait()
        return await settle(settled)

    pump = pump_of(unit_per_claim(fail))
    await put(context.store, "first")
    await ended(pump, wait_until)
    monkeypatch.setattr(context.store.backlogs, "settle", slowly)
    giving = asyncio.create_task(pump.give_back())
    await held.wait()
    await put(context.store, "second")
    await ended(pump, wait_until)
    hold.set()
    await giving
    await pump.give_back()
    assert [item for item, _ in await due(context.store)] == ["first", "second"]


@pytest.fixture
async def at_nudge(context: Context, wait_until: Any) -> Any:
    """Starts to wait for nudges with a pump that claims at them; gives the task when it waits."""
    redis = context.store.connection.redis
    found = Nudges(context.settings.redis_url, 2, Outage("test"))

    async def waits() -> bool:
        return bool((await redis.info("clients"))["blocked_clients"])

    async def wait(pump: Pump) -> asyncio.Task[bool]:
        await redis.delete(*(keys.nudge["poll"] for keys in context.store.shards))
        task = asyncio.create_task(pump.run_at_nudge(found))
        await wait_until(waits)
        return task

    wait.nudges = found  # type: ignore[attr-defined]
    yield wait
    await found.close()


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_nudge_brings_what_was_claimed_at_it_from_each_shard(
    context: Context, pump_of: Any, at_nudge: Any, *, flushed: bool
) -> None:
    worked: list[str] = []

    async def work(claim: Claim) -> None:
        worked.append(claim.item)
        await context.store.backlogs.settle([Settlement(claim)])

    pump = pump_of(unit_per_claim(work), claims_at_nudge=True)
    await put(context.store, "before")
    await pump.run()  # the lane is known now
    task = await at_nudge(pump)
    if flushed:  # then the claim behind the wait fails, and the next one loads the script
        await context.store.connection.redis.script_flush()
    await put(context.store, "a", "b", shard=1)
    assert await task
    await pump.finish(5.0)
    assert sorted(worked) == ["a", "b", "before"]


async def test_what_was_claimed_at_the_end_of_a_wait_is_given_back_at_once(
    context: Context, pump_of: Any, at_nudge: Any
) -> None:
    worked: list[Claim] = []

    async def work(claim: Claim) -> None:
        worked.append(claim)
        await context.store.backlogs.settle([Settlement(claim)])

    pump = pump_of(unit_per_claim(work), claims_at_nudge=True)
    await put(context.store, "before")
    await pump.run()
    worked.clear()
    task = await at_nudge(pump)
    keys = context.store.shards[0]
    await context.store.connection.redis.set(keys.busy["poll"], "another", ex=60)  # no nudge comes
    await put(context.store, "late")
    assert not task.done()
    at_nudge.nudges.end()
    await pump.finish(5.0)
    assert await task
    assert worked == []
    assert await due(context.store) == [("late", b"late")]


async def test_a_redis_that_hung_claims_nothing_for_a_caller_that_has_given_up(
    context: Context, pump_of: Any, at_nudge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is behind the wait runs when Redis goes on, before it sees that the caller is gone."""
    monkeypatch.setattr(pump_module, "ANSWERED_WITHIN", -1.0)  # as if that time was over
    pump = pump_of(unit_per_claim(fail), claims_at_nudge=True)
    task = await at_nudge(pump)
    keys = context.store.shards[0]
    await context.store.connection.redis.set(keys.busy["poll"], "another", ex=60)
    await put(context.store, "waits")
    at_nudge.nudges.end()
    assert not await task
    assert await due(context.store) == [("waits", b"waits")]
