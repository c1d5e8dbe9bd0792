"""A subscriber that is down for a week, by a simulated clock.

Time passes by moving all that waits closer: due times, rests, and since when a lane fails.
"""

from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from aiohttp import web

from processor import schedule
from processor.event_types import DISABLED
from processor.service.subscriptions import update
from processor.store import Store

from ..desk import Desk, Subscriber

HOUR, DAY = 3600.0, 86_400.0
NEVER = 9e15  # the score of what waits for its turn
ALL = ("job.started", "job.completed")


class Clock:
    """Redis' time, and what has passed beside it."""

    def __init__(self, store: Store) -> None:
        """Nothing has passed."""
        self._store = store
        self._redis = store.connection.redis
        self._keys = store.shards[0]
        self._passed = 0.0

    async def now(self) -> float:
        """What time it is."""
        return await self._store.now() + self._passed

    async def until_due(self) -> float:
        """Seconds until something may be claimed; infinite if nothing waits."""
        rows = await self._redis.zrange(self._keys.lanes["deliver"], 0, 0, withscores=True)
        return rows[0][1] / 1000 - await self._store.now() if rows else float("inf")

    async def let_pass(self, seconds: float) -> None:
        """Let time pass."""
        ms, self._passed = int(seconds * 1000) + 1, self._passed + seconds + 0.001
        for pattern in ("lanes:deliver", "due:deliver:*", "retries:deliver:*"):
            async for name in self._redis.scan_iter(self._keys.tag + pattern):
                for item, at in await self._redis.zrange(name, 0, -1, withscores=True):
                    if at < NEVER:
                        await self._redis.zadd(name, {item: at - ms})
        for name, moving in (
            (self._keys.paused["deliver"], (0,)),
            (self._keys.failure_scores, (1, 3)),
        ):
            for field, text in (await self._redis.hgetall(name)).items():
                numbers = [int(n) - ms * (i in moving) for i, n in enumerate(text.split())]
                await self._redis.hset(name, field, " ".join(map(str, numbers)))


class Away(Subscriber):
    """A subscriber that is not there, and when it was called."""

    clock: Clock

    def __init__(self) -> None:
        """Nobody called."""
        super().__init__()
        self.status = 503
        self.times: dict[str, list[float]] = defaultdict(list)

    async def answer(self, request: web.Request) -> web.Response:
        """Note when."""
        self.times[request.headers["webhook-id"]].append(await self.clock.now())
        return await super().answer(request)

    def sequences(self, job: str) -> list[int]:
        """What came of a job, in the order in which it came."""
        return [b["data"]["sequence"] for b in self.bodies if b["data"].get("id") == job]


@pytest.fixture
def subscriber_is() -> type[Subscriber]:
    return Away


@pytest.fixture
def clock(desk: Desk) -> Clock:
    made = desk.subscriber.clock = Clock(desk.store)
    return made


async def work(desk: Desk, clock: Clock, seconds: float) -> None:
    """Deliver whatever falls due in that time."""
    ends = await clock.now() + seconds
    while (left := ends - await clock.now()) > 0:
        await desk.round()
        await clock.let_pass(max(min(await clock.until_due(), left), 0.0))


async def test_every_attempt_is_made_on_time(desk: Desk, clock: Clock):
    """Ten of them, each pause ±20 %."""
    made = await desk.subscribe()
    await desk.finish("a")
    await work(desk, clock, 4 * DAY)
    (times,) = desk.subscriber.times.values()
    pauses = [after - before for before, after in pairwise(times)]
    assert len(times) == len(schedule.RETRY_DELAYS)
    for pause, planned in zip(pauses, schedule.RETRY_DELAYS[1:], strict=True):
        assert 0.8 * planned <= pause <= 1.2 * planned + 1.0
    assert await desk.states(made) == {"failed": 1}


async def run(desk: Desk, clock: Clock, job: str) -> None:
    """A job that fails, and is run again with success: four events."""
    await desk.bench.push(id=job, status="running")
    await desk.bench.push(id=job, status="failed")
    await work(desk, clock, 3 * HOUR)
    await desk.bench.push(id=job, status="running", attempt=2)
    await desk.bench.push(id=job, status="succeeded", attempt=2)
    await work(desk, clock, 3 * HOUR)


async def test_a_subscriber_that_was_down_for_a_week_gets_everything_in_order(
    desk: Desk, clock: Clock
):
    """Disabled once, after five days; enabled and replayed, it has every completion, and all that
    was published while it was disabled, each job in order.
    """
    desk.subscriber.status = 503
    made = await desk.subscribe(events=ALL, ordered=True)
    since, known = await clock.now(), {}
    for number in range(7 * 4):
        known[f"job{number}"] = (await desk.store.subscriptions.get(made.id)).disabled
        await run(desk, clock, f"job{number}")
    kinds = [kind for _, kind in await desk.bench.events()]
    assert kinds.count(DISABLED) == 1
    first = next(number for number, why in enumerate(known.values()) if why)
    assert first * 6 * HOUR == pytest.approx(schedule.DISABLE_AFTER, abs=18 * HOUR)
    assert await clock.now() - since >= 7 * DAY
    desk.subscriber.status = 200
    desk.subscriber.bodies.clear()
    desk.subscriber.got.clear()
    await update.enable(desk.context, made.id)
    await desk.replay(made, since="168h")
    await work(desk, clock, HOUR)
    assert set(Counter(desk.subscriber.got).values()) == {1}
    for job, disabled in known.items():
        came = desk.subscriber.sequences(job)
        assert came == sorted(came)
        assert set(came) >= ({1, 2, 3, 4} if disabled else {2, 4})
