"""Interleavings and accidents that once lost something, or published it twice."""

import asyncio
import json
import time
from typing import Any

import msgspec
import pytest
import uvloop

from processor import state_machine
from processor.errors import StoreUnavailable
from processor.model import Job, Origin, Push, State, StatusUpdate, Subscription
from processor.service.events import publish
from processor.service.jobs import decide
from processor.service.runtime import outage
from processor.service.runtime.outage import Outage
from processor.service.subscriptions.update import disable
from processor.store import Store
from processor.store.change import Change
from processor.store.error_translation import unavailable_reason
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement, WorkItem
from workers.pump import Pump

URL = "http://127.0.0.1:9009/hook"


@pytest.fixture
def claimed(bench: Any, wait_until: Any) -> Any:
    """Claims from a backlog until there is something: the first claim."""

    async def claim(backlog: str) -> Claim:
        found: list[Claim] = []

        async def some() -> bool:
            found.extend(await bench.claim(bench.store.shards[0], backlog))
            return bool(found)

        await wait_until(some)
        return found[0]

    return claim


async def _ends(bench: Any) -> tuple[float, float]:
    """When the callback's key ends, and the job's (ms)."""
    redis = bench.store.connection.redis
    callback = (await redis.keys("*callback:*"))[0]
    return await redis.pexpiretime(callback), await redis.pexpiretime("{rb:0}:job:lab/long")


async def test_a_callback_is_kept_as_long_as_the_last_of_its_jobs(bench: Any) -> None:
    await bench.watch("long", deadline="60d", callback_url=URL)
    await bench.watch("short", deadline="1s", callback_url=URL)
    callback, job = await _ends(bench)
    assert callback >= job - 1000


async def test_a_callback_is_kept_as_long_as_a_deadline_that_was_extended(bench: Any) -> None:
    await bench.watch("long", callback_url=URL)
    await bench.watch("long", deadline="60d")
    callback, job = await _ends(bench)
    assert callback >= job - 1000


async def test_a_callback_is_kept_as_long_as_a_job_that_runs_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.watch("long", deadline="1s", callback_url=URL)
    await bench.push(id="long", status="failed", attempt=1)
    now = bench.store.now

    async def later() -> float:
        seconds: float = await now()
        return seconds + 60

    monkeypatch.setattr(bench.store, "now", later)
    await bench.push(id="long", status="running", attempt=2)
    callback, job = await _ends(bench)
    assert callback >= job - 1000


@pytest.mark.parametrize("how", ["inline", "claiming"])
async def test_a_drain_waits_for_the_batch_that_is_being_started(
    bench: Any, how: str, wait_until: Any
) -> None:
    began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def start_batch(claims: list[Claim]) -> list[Any]:
        began.set()
        await go_on.wait()
        if how == "inline":
            await bench.store.backlogs.settle([Settlement(c) for c in claims])
            ended.set()
            return []

        async def unit() -> None:
            ended.set()

        return [(claims, unit())]

    pump = Pump(
        bench.context,
        Outage("t"),
        "poll",
        max_in_flight=10,
        lane_limits=lambda _: LaneLimits(9),
        start_batch=start_batch,
    )
    call = WorkItem("poll", "s", "i", NOW, b"")
    job = decide.new_job(bench.context.settings.sources["lab"], "x", 0.0, "u")
    keys = bench.store.shards[0]
    await bench.store.jobs.commit(
        keys, "0", [Change(job=job, version="", save=False, items=[call])]
    )
    running = asyncio.create_task(pump.run())
    await began.wait()
    finishing = asyncio.create_task(pump.finish(5.0))
    await wait_until(lambda: pump.stopping)
    await asyncio.sleep(0)
    assert not finishing.done()
    go_on.set()
    await finishing
    await running
    assert ended.is_set()


async def test_a_periodic_step_runs_again_after_any_error(
    wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "RETRY_INTERVAL", 0.01)
    calls = []

    async def step() -> float:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the handler is closed")
        return 0.01

    task = asyncio.create_task(outage.run_periodically(Outage("t"), step))
    await wait_until(lambda: len(calls) > 1 or task.done())
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_settlement_leaves_an_item_that_was_put_again(bench: Any, claimed: Any) -> None:
    """A worker read that the job is deleted, and will settle; before it does, the job is PUT."""
    await bench.watch("1")
    claim = await claimed("poll")
    shard = bench.store.shards[0]
    (found,) = await bench.store.jobs.read(shard, ["lab/1"])
    await bench.store.jobs.delete(shard, found.job, found.version)
    await bench.watch("1")  # between the read and the settlement of `poll`
    assert await bench.due("poll", "lab/1") is not None
    await bench.store.backlogs.settle([Settlement(claim)])
    assert await bench.due("poll", "lab/1") is not None


async def test_a_lane_that_a_full_worker_skips_can_be_claimed_by_an_idle_one(store_of: Any) -> None:
    full, idle, other = store_of(), store_of(), store_of()
    keys = full.shards[0]
    job = Job("s", "p", "1", "u", 0.0, 1.0, 1.0)
    puts = [WorkItem("deliver", "sub", f"i{n}", NOW, b"x") for n in range(20)]
    await full.jobs.commit(keys, "0", [Change(job=job, version="", save=False, items=puts)])
    held = await other.backlogs.claim(keys, "deliver", 2, lambda _: LaneLimits(256))
    assert held
    await full.backlogs.claim(keys, "deliver", 1, lambda _: LaneLimits(256, fair=1))  # nearly full
    got = await idle.backlogs.claim(keys, "deliver", 200, lambda _: LaneLimits(256))
    assert got


async def test_an_alias_of_an_alias_leads_to_one_job(bench: Any) -> None:
    receiver = bench._receiver
    source = receiver.source("lab")
    for body in (
        {"id": "X", "alias": "A", "status": "running"},
        {"id": "Y", "alias": "X", "status": "running"},
    ):
        await receiver.receive(source, Push({}, json.dumps(body).encode()))
    await bench.ingest()
    await bench.push(id="A", status="succeeded")
    await bench.push(id="Y", status="succeeded")
    completions = [e for e in await bench.events() if e[1] == "job.succeeded"]
    assert len(completions) == 1


def test_a_poll_that_was_sent_before_the_job_ended_does_not_reopen_it() -> None:
    """The provider stamps its answers, and its clock is ahead of ours."""
    done = Job("s", "p", "1", "u", 0.0, 100.0, 1000.0)
    done = msgspec.structs.replace(done, state=State.SUCCEEDED, status_at=100.0, ended_at=100.0)
    late = StatusUpdate("s", "1", "running", State.RUNNING, 100.4, Origin.POLL, reopens=True)
    # Sent at 99, which the update no longer says if the provider gives a time.
    assert state_machine.advance(done, late, 100.5).job.attempt == 1


async def test_a_password_in_the_query_of_a_redis_url_is_not_shown() -> None:
    assert "hunter2" not in unavailable_reason(
        "redis://h:1/0?password=hunter2", StoreUnavailable("x")
    )


async def test_a_stale_commit_does_not_drop_the_deadline_of_a_job_that_runs_again(
    bench: Any, claimed: Any
) -> None:
    """W1 claims the deadline and reads the finished job; attempt 2 is committed; W1 commits."""
    await bench.watch("1", poll=False)
    await bench.make_due("ingest", "deadline:lab/1", job="1")
    deadline = await claimed("ingest")
    failed = Push({}, b'{"id":"1","status":"failed","attempt":1}')
    await bench._receiver.receive(bench._receiver.source("lab"), failed)
    await bench.ingest()
    keys = bench.store.shards[0]
    (lookup,) = await bench.store.jobs.read(keys, ["lab/1"])  # W1 reads
    await bench.push(id="1", status="running", attempt=2)
    router = await bench.store.subscriptions.router(keys)
    inputs = publish.DecisionInputs(
        bench.context.settings.sources["lab"], router, await bench.store.now(), 0.5, "u"
    )
    update = msgspec.json.decode(deadline.payload, type=StatusUpdate)
    change = decide.decide(lookup, "1", [decide.IncomingUpdate(update, deadline)], inputs)
    await bench.store.jobs.commit(keys, router.version, [change])
    assert (await bench.job("1")).attempt == 2
    assert await bench.due("ingest", "deadline:lab/1", job="1") is not None


async def test_a_removed_subscription_stays_removed(bench: Any) -> None:
    sub = Subscription(id="sub_1", url=URL, secrets=("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
    await bench.store.subscriptions.save(sub)
    await bench.store.subscriptions.remove("sub_1")  # during an attempt to deliver to it
    await disable(bench.context, sub, "answered 410")
    assert await bench.store.subscriptions.get("sub_1") is None


def test_a_connection_that_breaks_raises_store_unavailable_only(redis_url: str) -> None:
    """The processes run uvloop, whose closed transports raise RuntimeError when written to."""
    strange: list[BaseException] = []

    async def run() -> None:
        ours, killer = Store(redis_url), Store(redis_url)
        ends = time.monotonic() + 3

        async def use() -> None:
            while time.monotonic() < ends and not strange:
                try:
                    await ours.backlogs.nudge_due()
                    await ours.events.follow(["0-0"], ["0-0"], 9, 0.01)
                except StoreUnavailable:
                    pass
                except Exception as error:  # noqa: BLE001 -- what we look for
                    strange.append(error)
                await asyncio.sleep(0)

        async def kill() -> None:
            words = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            while time.monotonic() < ends and not strange:
                await killer.connection.redis.execute_command(*words)
                await asyncio.sleep(0.003)

        await asyncio.gather(*(use() for _ in range(20)), kill())
        await ours.close()
        await killer.close()

    uvloop.run(run())
    assert not strange, repr(strange[0])
