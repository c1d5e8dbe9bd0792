"""Interleavings and accidents that once lost something or told it twice."""

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
from processor.service.runtime.outage import Outage, run_periodically
from processor.service.subscriptions.update import disable
from processor.store import Store
from processor.store.connection import _why
from processor.store.jobs import Change
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement, WorkItem
from workers.pump import Pump

URL = "http://127.0.0.1:9009/hook"


async def _ends(bench: Any) -> tuple[float, float]:
    """When the callback's key ends, and the job's (ms)."""
    redis = bench.store.connection.redis
    callback = (await redis.keys("*callback:*"))[0]
    return await redis.pexpiretime(callback), await redis.pexpiretime("{rb:0}:job:lab/long")


async def test_a_callback_lives_as_long_as_its_job_whatever_other_jobs_share_it(bench: Any) -> None:
    await bench.watch("long", deadline="60d", callback_url=URL)
    await bench.watch("short", deadline="1s", callback_url=URL)
    callback, job = await _ends(bench)
    assert callback >= job - 1000


async def test_a_callback_lives_on_with_a_deadline_that_was_put_off(bench: Any) -> None:
    await bench.watch("long", callback_url=URL)
    await bench.watch("long", deadline="60d")
    callback, job = await _ends(bench)
    assert callback >= job - 1000


async def test_a_callback_lives_on_with_a_job_that_runs_again(bench: Any) -> None:
    await bench.watch("long", deadline="1s", callback_url=URL)
    await bench.push(id="long", status="failed", attempt=1)
    await asyncio.sleep(2.2)
    await bench.push(id="long", status="running", attempt=2)
    callback, job = await _ends(bench)
    assert callback >= job - 1000


@pytest.mark.parametrize("how", ["inline", "claiming"])
async def test_a_drain_waits_for_the_batch_that_is_being_taken_apart(bench: Any, how: str) -> None:
    ended, began = asyncio.Event(), asyncio.Event()

    async def work(claims: list[Claim]) -> list[Any]:
        began.set()
        await asyncio.sleep(0.3)
        if how == "inline":
            await bench.store.backlogs.settle([Settlement(c) for c in claims])
            ended.set()
            return []

        async def piece() -> None:
            ended.set()

        return [(claims, piece())]

    pump = Pump(
        bench.context,
        Outage("t"),
        "poll",
        max_in_flight=10,
        lane_limits=lambda _: LaneLimits(9),
        start_batch=work,
    )
    call = WorkItem("poll", "s", "i", NOW, b"")
    job = decide.new_job(bench.context.settings.sources["lab"], "x", 0.0, "u")
    keys = bench.store.shards[0]
    await bench.store.jobs.commit(
        keys, "0", [Change(job=job, version="", save=False, items=[call])]
    )
    pump.run_soon()
    await began.wait()
    await pump.finish(5.0)
    was = ended.is_set()
    await asyncio.sleep(0.5)
    assert was


async def test_a_repeated_step_outlives_an_error_of_any_kind() -> None:
    calls = []

    async def step() -> float:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the handler is closed")
        return 0.01

    task = asyncio.create_task(run_periodically(Outage("t"), step))
    await asyncio.sleep(1.5)
    alive = not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert alive


async def test_an_ended_claim_leaves_what_was_put_anew(bench: Any) -> None:
    """The worker read `gone` and is about to say so; meanwhile the job is PUT again."""
    await bench.watch("1")
    await asyncio.sleep(0.06)
    (claim,) = await bench.claim(bench.store.shards[0], "poll")
    await bench.store.jobs.delete(bench.store.shards[0], "lab/1")
    await bench.watch("1")  # between polling.poll's read and its settle
    assert await bench.due("poll", "lab/1") is not None
    await bench.store.backlogs.settle([Settlement(claim)])
    assert await bench.due("poll", "lab/1") is not None


async def test_a_full_worker_hides_no_lane_from_an_idle_one(store_of: Any) -> None:
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


async def test_names_of_names_lead_to_one_job(bench: Any) -> None:
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
    told = [e for e in await bench.events() if e[1] == "job.succeeded"]
    assert len(told) == 1


def test_a_poll_begun_before_the_final_reopens_nothing() -> None:
    """The provider stamps its answers, and its clock is ahead of ours."""
    done = Job("s", "p", "1", "u", 0.0, 100.0, 1000.0)
    done = msgspec.structs.replace(done, state=State.SUCCEEDED, status_at=100.0, ended_at=100.0)
    late = StatusUpdate("s", "1", "running", State.RUNNING, 100.4, Origin.POLL, reopens=True)
    # Asked at 99; but of that nothing is left in the update once the provider tells a time.
    assert state_machine.advance(done, late, 100.5).job.attempt == 1


async def test_a_password_in_the_query_is_not_told() -> None:
    assert "hunter2" not in _why("redis://h:1/0?password=hunter2", StoreUnavailable("x"))


async def test_a_deadline_of_a_job_that_runs_again_survives_a_stale_commit(bench: Any) -> None:
    """W1 claims the deadline and reads the finished job; attempt 2 is committed; W1 commits."""
    await bench.watch("1", deadline="1s", poll=False)
    await asyncio.sleep(1.05)
    (deadline,) = await bench.claim(bench.store.shards[0], "ingest")
    failed = Push({}, b'{"id":"1","status":"failed","attempt":1}')
    await bench._receiver.receive(bench._receiver.source("lab"), failed)
    await bench.ingest()
    keys = bench.store.shards[0]
    (known,) = await bench.store.jobs.read(keys, ["lab/1"])  # W1 reads
    await bench.push(id="1", status="running", attempt=2)
    router = await bench.store.subscriptions.router(keys)
    inputs = publish.DecisionInputs(
        bench.context.settings.sources["lab"], router, await bench.store.now(), 0.5, "u"
    )
    update = msgspec.json.decode(deadline.payload, type=StatusUpdate)
    change = decide.decide(known, "1", [decide.IncomingUpdate(update, deadline)], inputs)
    await bench.store.jobs.commit(keys, router.version, [change])
    assert (await bench.job("1")).attempt == 2
    assert await bench.due("ingest", "deadline:lab/1", job="1") is not None


async def test_a_removed_subscription_stays_removed(bench: Any) -> None:
    sub = Subscription(id="sub_1", url=URL, secrets=("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
    await bench.store.subscriptions.save(sub)
    await bench.store.subscriptions.remove("sub_1")  # while a post to it is under way
    await disable(bench.context, sub, "answered 410")
    assert await bench.store.subscriptions.get("sub_1") is None


def test_a_connection_that_breaks_is_store_away_and_nothing_else(redis_url: str) -> None:
    """The processes run uvloop, whose closed transports raise RuntimeError when written to."""
    strange: list[BaseException] = []

    async def run() -> None:
        ours, killer = Store(redis_url), Store(redis_url)
        ends = time.monotonic() + 3

        async def use() -> None:
            while time.monotonic() < ends and not strange:
                try:
                    await ours.backlogs.nudge_due()
                    await ours.events.follow(["0-0"], 9, 0.01)
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
