"""`ordered`: failures, expired leases and replays keep a job's events in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from processor import state_machine
from processor.model import HttpResponse, Subscription
from processor.service.delivery.deliver import Deliverer
from processor.service.replay import replay as replay_replay
from processor.service.replay.replay import ReplayRequest
from processor.service.subscriptions import update
from processor.store.keys import Keys
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENTS = ("job.started", "job.progressed", "job.completed")
NOT_YET = 9e15


class Line:
    """An ordered subscription, its subscriber, and workers whose leases the test ends."""

    def __init__(self, bench: Any) -> None:
        """Answer well."""
        self.context = bench.context._replace(egress=self)
        self.bench, self.store = bench, bench.store
        self.status = 200
        self.meanwhile: Callable[[], Awaitable[None]] | None = None  # before the next answer
        self.got: list[str] = []  # ids of events, without the part that says whose they are
        self.deliverer = Deliverer(self.context)

    async def request(self, *_: str, **request: Any) -> HttpResponse:
        """Answer as the subscriber."""
        self.got.append(request["headers"]["webhook-id"].partition("_")[2].partition("_")[2])
        status = self.status
        if meanwhile := self.meanwhile:
            self.meanwhile = None
            await meanwhile()
        return HttpResponse(status, {}, b"", 0.0)

    async def subscribe(self, name: str = "sub_1", *, ordered: bool = True) -> Subscription:
        """Make a subscription."""
        made = Subscription(
            id=name, url="https://a.example", secrets=(SECRET,), events=EVENTS, ordered=ordered
        )
        await self.store.subscriptions.save(made)
        return made

    async def go(self, *statuses: str, job: str = "1", attempt: int = 1) -> None:
        """Have a job go on."""
        for status in statuses:
            await self.bench.push(id=job, status=status, attempt=attempt)

    async def claim(self, keys: Keys | None = None) -> list[Claim]:
        """Claim all that is due."""
        shard = keys or self.store.shards[0]
        return await self.store.backlogs.claim(shard, "deliver", 200, lambda _: LaneLimits(1000))

    async def post(self, claims: Sequence[Claim]) -> None:
        """Deliver what was claimed."""
        posts = await self.deliverer.read(claims) if claims else []
        await asyncio.gather(*map(self.deliverer.deliver, posts))

    async def round(self) -> None:
        """Deliver what is due in every shard."""
        for keys in self.store.shards:
            await self.post(await self.claim(keys))

    async def deliver(self) -> list[str]:
        """Deliver until nothing is due; what was posted."""
        self.got.clear()
        while claims := await self.claim():
            await self.post(claims)
        return self.got

    async def replay(self, target: Subscription, *, again: bool = True) -> int:
        """Replay all; returns how many were enqueued."""
        done = await replay_replay.replay(
            self.context, target.id, ReplayRequest(since="1h", again=again)
        )
        return done.queued

    async def time_passes(self, target: str = "sub_1") -> None:
        """What waits to be tried again is due."""
        for keys in self.store.shards:
            key = keys.retries("deliver", target)
            for item in await self.store.connection.redis.zrange(key, 0, -1):
                await self.store.redeliveries.run_now(keys, target, item.decode())

    async def lapse(self, *claims: Claim) -> None:
        """The leases of these have ended."""
        redis = self.store.connection.redis
        for claim in claims:
            keys = self.store.shards[claim.shard]
            claim.token = 1
            await redis.zadd(keys.claimed("deliver", claim.lane), {claim.item: 1})
            await redis.zadd(keys.lanes["deliver"], {claim.lane: 0})

    async def due(self, target: str = "sub_1") -> list[str]:
        """What may be claimed, of what waits."""
        key = self.store.shards[0].due("deliver", target)
        items = await self.store.connection.redis.zrange(key, "-inf", f"({NOT_YET}", byscore=True)
        return [item.decode() for item in items]

    async def left(self) -> list[bytes]:
        """Keys of what waits."""
        keys = await self.store.connection.redis.keys("*")
        words = (b"order:", b"overflow", b"due:deliver", b"retries:", b"items:deliver", b"event:")
        return sorted(key for key in keys if key.partition(b"}:")[2].startswith(words))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_machine, "PROGRESS_EVENTS_APART", 0.0)


@pytest.fixture
def line(bench: Any) -> Line:
    return Line(bench)


@pytest.fixture
def line_of(bench_of: Any) -> Any:
    async def make(**options: Any) -> Line:
        return Line(await bench_of(**options))

    return make


async def test_a_replayed_older_event_does_not_supersede_the_newest(line: Line) -> None:
    made = await line.subscribe()
    await line.go("running", "on")
    assert await line.deliver() == ["1", "2"]
    line.status = 400
    await line.go("off")
    assert await line.deliver() == ["3"]
    assert await line.replay(made) == 2
    assert await line.deliver() == []  # no attempt comes sooner because of what is older
    line.status = 200
    await line.time_passes()
    assert await line.deliver() == ["3", "1", "2"]
    assert await line.left() == []


async def test_a_failed_event_before_replayed_older_ones_is_retried_after_a_pause(
    line: Line,
) -> None:
    made = await line.subscribe()
    await line.go("running", "on")
    await line.deliver()
    line.status = 400
    await line.go("off")
    (claim,) = await line.claim()
    assert await line.replay(made) == 2  # while it is under way
    await line.post([claim])
    assert await line.deliver() == []


async def test_a_late_settlement_does_not_start_an_event_twice(line: Line) -> None:
    made = await line.subscribe()
    await line.go("running")
    await line.deliver()
    await line.go("on")
    slow = await line.claim()

    async def meanwhile() -> None:
        await line.lapse(*slow)
        assert await line.deliver() == ["2"]
        await line.go("succeeded")
        line.status = 400
        assert await line.deliver() == ["1_final"]
        assert await line.replay(made) == 2
        assert await line.due() == []

    line.meanwhile = meanwhile
    await line.post(slow)
    assert await line.due() == []
    line.status = 200
    await line.time_passes()
    assert await line.deliver() == ["1_final", "1"]


async def test_a_superseded_event_does_not_start_another(line: Line) -> None:
    """The completion fails, and is tried again: what waits behind it is left out, but the newest."""
    made = await line.subscribe()
    await line.go("running")
    await line.deliver()
    line.status = 400
    await line.go("succeeded")
    await line.deliver()
    assert await line.replay(made) == 1
    await line.go("running", "on", attempt=2)
    line.status = 200

    async def meanwhile() -> None:
        assert await line.due() == []

    line.meanwhile = meanwhile
    await line.time_passes()
    assert await line.deliver() == ["1_final", "1", "4"]
    assert await line.left() == []


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_late_settlement_removes_a_replayed_delivery_from_the_order(
    line: Line,
    ordered: bool,  # noqa: FBT001 -- a parameter
) -> None:
    """Otherwise the job's later events would wait for it without end."""
    made = await line.subscribe(ordered=not ordered)
    await line.go("running")
    slow = await line.claim()

    async def meanwhile() -> None:
        await line.lapse(*slow)
        assert await line.deliver() == ["1"]
        settings = update.UpdateSubscription(ordered=ordered)
        assert (await update.change(line.context, made.id, settings)).ordered is ordered
        assert await line.replay(made) == 1

    line.meanwhile = meanwhile
    await line.post(slow)
    await line.go("succeeded")
    assert await line.deliver() == ["1_final"]
    assert await line.left() == []


@pytest.mark.parametrize("first", ["fails", "arrives"])
async def test_a_delivery_claimed_twice_by_a_worker_ends_once(line: Line, first: str) -> None:
    """Its lease ran out, it was claimed again, and both attempts are settled in one call."""
    await line.subscribe()
    await line.subscribe("sub_2")
    await line.go("running")
    slow = [claim for claim in await line.claim() if claim.lane == "sub_1"]
    await line.lapse(*slow)
    (again,) = await line.claim()
    arrives = Settlement(*slow, event=again.item.partition(".")[0])
    fails = Settlement(again, at=NOW, payload=again.payload, failed=True)
    both = [fails, arrives] if first == "fails" else [arrives, fails]
    assert await line.store.backlogs.settle(both) == [True, True]
    assert await line.deliver() == []
    (body,) = [key for key in await line.left() if b":event:" in key]
    assert await line.store.connection.redis.hget(body, "n") == b"1"  # the other subscription's


async def test_a_late_worker_does_not_cancel_an_enabled_delivery(line: Line) -> None:
    """It found the subscription disabled, and slept; others know better by now."""
    made = await line.subscribe()
    await line.go("running")
    await update.disable(line.context, made, "by hand")
    slow = await line.claim()
    (post,) = await line.deliverer.read(slow)
    await line.lapse(*slow)
    await update.enable(line.context, made.id)
    line.status = 400
    assert await line.deliver() == ["1"]
    await line.deliverer.deliver(post)
    line.status = 200
    await line.time_passes()
    assert await line.deliver() == ["1"]
    assert await line.left() == []


async def test_a_cancellation_counts_though_a_renewal_overtook_it(line: Line) -> None:
    made = await line.subscribe()
    await line.go("running")
    await update.disable(line.context, made, "by hand")
    claims = await line.claim()
    (post,) = await line.deliverer.read(claims)
    run = line.store.connection.run

    async def superseded(name: str, *args: Any) -> Any:
        if name == "settle":
            line.store.connection.run = run
            await line.store.backlogs.renew(claims)
        return await run(name, *args)

    line.store.connection.run = superseded
    await line.deliverer.deliver(post)
    assert await line.left() == []


async def test_a_stale_entry_in_the_order_blocks_no_event(line: Line) -> None:
    """Neither a later event, nor one with the same id."""
    await line.subscribe()
    await line.go("running")
    (claim,) = await line.claim()
    redis, keys = line.store.connection.redis, line.store.shards[0]
    await redis.hdel(
        keys.items["deliver"], claim.item
    )  # as if its settlement had not known its order
    await line.lapse(claim)
    await line.go("succeeded")
    assert await line.deliver() == ["1_final"]
    assert [key async for key in redis.scan_iter("*}:order:*")] == []


async def test_an_unordered_delivery_does_not_start_the_next_ordered_one(line: Line) -> None:
    """It was enqueued before the subscription was ordered; another event of its job is in progress."""
    await line.subscribe(ordered=False)
    await line.go("running")
    await line.round()
    await line.go("failed")
    (plain,) = await line.claim()
    made = await line.subscribe()
    await line.go("running", attempt=2)
    (holder,) = await line.claim()
    assert await line.replay(made) == 1  # the first, which waits in front of the holder
    await line.lapse(plain)
    await line.post([plain])
    assert await line.claim() == []
    await line.post([holder])
    assert len(await line.claim()) == 1
