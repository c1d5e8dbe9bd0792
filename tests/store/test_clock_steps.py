"""Steps of Redis' clock: each clock process notices them, and one of them undoes them."""

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.service.runtime.context import Context
from processor.store import Store
from processor.store.clock_steps import SETTLED, ClockReading, ClockSteps, stepped
from processor.store.keys import META, Keys
from workers.clock import follow_clock

STEP = 600.0  # seconds that the clock went back
DAY = 86_400.0
SLOWEST = 1.0  # seconds that our idea of Redis' time may be late: as long as its answer took


@pytest.mark.parametrize(
    ("before", "now", "step"),
    [
        ((0.0, 0.01), (0.0, 0.01), 0.0),
        ((0.0, 0.01), (-0.9, -0.89), 0.0),
        ((0.0, 0.01), (-600.0, -599.99), -600.0),
        ((0.0, 0.01), (600.0, 600.01), 600.0),
        ((0.0, 5.0), (-3.0, -2.0), -5.0),  # the answer took 5 s: it went back by 2 s at least
        ((0.0, 5.0), (-0.5, 4.5), 0.0),
        ((0.0, 0.01), (-1.5, 3.5), 0.0),  # this answer took long: nothing is certain
    ],
)
def test_a_slow_answer_is_not_taken_for_a_clock_step(before: Any, now: Any, step: float) -> None:
    first, second = ClockReading(before[0], before[1], "s", 0), ClockReading(now[0], now[1], "s", 0)
    assert stepped(first, second) == pytest.approx(step, abs=0.02)


class Clocked:
    """Two clock processes of a Redis whose clock went back."""

    def __init__(self, store: Store) -> None:
        """Begin before the step, with nothing in Redis."""
        self.store = store
        self.redis = store.connection.redis
        self.keys: Keys = store.shards[0]
        self.processes = [ClockSteps(store.connection, store.shards, 1.0) for _ in range(2)]

    async def step(self, seconds: float = STEP) -> list[float]:
        """Let both check; what each found."""
        for one in self.processes:
            await one.check()
            before = one._before
            assert before
            one._before = before._replace(low=before.low + seconds, high=before.high + seconds)
        return [await one.check() for one in self.processes]

    async def undo(self) -> list[bool]:
        """Let both undo the step at the same time, after all processes have the new time."""
        await self.redis.hincrby(META, "stepped", -int((SETTLED + SLOWEST) * 1000))
        return list(await asyncio.gather(*(one.undo() for one in self.processes)))

    async def put(self, lane: str, key: str, **waits: float) -> None:
        """Enqueue items by the old time: each with the seconds that it waits."""
        now = await self.store.now() + STEP
        for item, wait in waits.items():
            await self.redis.zadd(key, {item: int((now + wait) * 1000)})
            await self.redis.hset(self.keys.items["deliver"], item, b"{}")
        least = int((now + min(waits.values())) * 1000)
        await self.redis.zadd(self.keys.lanes["deliver"], {lane: least}, lt=True)

    async def waits(self, key: str) -> dict[str, float]:
        """How many seconds each item waits now."""
        now = await self.store.now()
        rows = await self.redis.zrange(key, 0, -1, withscores=True)
        return {item.decode(): at / 1000 - now for item, at in rows}


@pytest.fixture
async def clocked(store: Store) -> Clocked:
    await store.check()
    return Clocked(store)


async def test_after_a_step_due_work_is_due_and_other_work_waits_as_long_as_before(
    clocked: Clocked,
) -> None:
    due, again = clocked.keys.due("deliver", "a"), clocked.keys.retries("deliver", "a")
    await clocked.put("a", due, was_due=-1.0, nearly=0.5, in_a_minute=60.0, in_a_day=DAY)
    await clocked.put("a", again, failed=-30.0, later=300.0)
    await clocked.redis.zadd(due, {"behind another": 9e15})
    assert await clocked.step() == [pytest.approx(-STEP, abs=0.1)] * 2
    assert True in await clocked.undo()
    found = await clocked.waits(due) | await clocked.waits(again)
    assert found.pop("behind another") > 1e11
    wanted = {"was_due": 0, "nearly": 0.5, "in_a_minute": 60, "in_a_day": DAY}
    assert found == pytest.approx(wanted | {"failed": 0, "later": 300}, abs=3)
    assert (await clocked.waits(clocked.keys.lanes["deliver"]))["a"] < 0.1


async def test_a_step_is_undone_once_by_two_processes_one_of_which_is_interrupted(
    clocked: Clocked,
) -> None:
    due = clocked.keys.due("deliver", "a")
    await clocked.put("a", due, **{f"i{n}": 1000.0 + n // 3 for n in range(1203)})
    before = await clocked.waits(due)
    await clocked.step()
    await clocked.redis.hset(META, "undone", 0)
    await clocked.undo()
    await clocked.redis.hset(META, "undone", 0)  # a process died before it noted that it was done
    await clocked.undo()
    after = await clocked.waits(due)
    assert after == pytest.approx({i: at - STEP for i, at in before.items()}, abs=3)
    assert await clocked.redis.hmget(META, "steps", "undone") == [b"1", b"1"]
    assert await clocked.undo() == [False, False]


async def test_a_second_step_is_undone_too(clocked: Clocked) -> None:
    due = clocked.keys.due("deliver", "a")
    for count in (b"1", b"2"):
        await clocked.put("a", due, later=100.0)
        await clocked.step()
        await clocked.undo()
        assert await clocked.waits(due) == pytest.approx({"later": 100.0}, abs=3)
        assert await clocked.redis.hget(META, "steps") == count


async def test_paused_lanes_and_budgets_do_not_wait_longer(clocked: Clocked) -> None:
    now = await clocked.store.now() + STEP
    for key in (clocked.keys.paused["poll"], clocked.keys.rate_limit["poll"]):
        await clocked.redis.hset(key, "without work", int((now + 30) * 1000))
    await clocked.step()
    await clocked.undo()
    for key in (clocked.keys.paused["poll"], clocked.keys.rate_limit["poll"]):
        at = float(await clocked.redis.hget(key, "without work")) / 1000
        assert at - await clocked.store.now() == pytest.approx(30, abs=3)


async def test_a_lease_in_the_future_ends_unless_it_is_renewed(
    clocked: Clocked,
) -> None:
    held = clocked.keys.claimed("deliver", "a")
    await clocked.put("a", held, dead=1.0, alive=1.0)
    one, other = clocked.processes
    assert await one.end_leases() == 0
    await clocked.redis.zadd(held, {"alive": int((await clocked.store.now() + 0.9) * 1000)})
    assert await other.end_leases() == 0
    assert await one.end_leases() == 1
    found = await clocked.waits(held)
    assert found["dead"] < 0.1 < found["alive"]
    assert (await clocked.waits(clocked.keys.lanes["deliver"]))["a"] < 0.1


async def test_a_lane_with_a_wrong_key_type_does_not_stop_others(clocked: Clocked) -> None:
    await clocked.put("a", clocked.keys.due("deliver", "a"), one=10.0)
    for key in (clocked.keys.due, clocked.keys.claimed):
        await clocked.redis.set(key("deliver", "b"), "?")
    await clocked.redis.zadd(clocked.keys.lanes["deliver"], {"b": 1})
    await clocked.step()
    await clocked.undo()
    assert await clocked.waits(clocked.keys.due("deliver", "a")) == pytest.approx(
        {"one": 10}, abs=3
    )
    assert await clocked.processes[0].end_leases() == 0
    await clocked.redis.delete(
        *(k("deliver", "b") for k in (clocked.keys.due, clocked.keys.claimed))
    )


async def test_a_step_forward_is_logged_and_moves_nothing(clocked: Clocked) -> None:
    due = clocked.keys.due("deliver", "a")
    await clocked.put("a", due, one=10.0)
    before = await clocked.waits(due)
    assert await clocked.step(-STEP) == [pytest.approx(STEP, abs=0.1)] * 2
    assert await clocked.redis.hget(META, "steps") is None
    assert await clocked.waits(due) == pytest.approx(before, abs=3)


async def test_replaced_data_is_not_a_clock_step(clocked: Clocked) -> None:
    for one in clocked.processes:
        await one.check()
        assert one._before
        one._before = one._before._replace(low=time.time(), high=time.time(), store="another")
        assert await one.check() == 0.0


async def test_the_clock_process_logs_a_step_in_one_line(store: Store) -> None:
    await store.check()
    ours: Any = type("Ours", (), {"store": store})
    context: Context = ours
    await follow_clock(context)
    before = store.clock_steps._before
    assert before
    store.clock_steps._before = before._replace(low=before.low + 9, high=before.high + 9)
    with capture_logs() as lines:
        await follow_clock(context)
        await follow_clock(context)
    (line,) = lines
    assert (line["event"], line["seconds"]) == ("redis_clock_stepped", pytest.approx(-9, abs=0.1))
