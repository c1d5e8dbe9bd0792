"""Concurrency limit and rate limit of a subscription, across all processes that deliver."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from processor.durations import parse_rate
from processor.model import Subscription
from processor.service.delivery import history
from processor.service.delivery.circuit_breaker import (
    NEW_LANES_EVERY,
    REFRESH_EVERY,
    CircuitBreakers,
)
from processor.service.delivery.limits import Limit, per_shard
from processor.service.runtime.outage import Outage
from processor.service.subscriptions import manage, update
from processor.store.work_items import LaneLimits, Settlement
from processor.subscription_settings import MAX_CONCURRENCY
from workers import pumps
from workers.pump import Pump

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENTS = 6


@pytest.mark.parametrize(
    ("text", "means"),
    [("100/1m", (100, 60.0)), ("1/24h", (1, 86_400.0)), ("5/250ms", (5, 0.25))],
)
def test_a_rate_is_a_count_per_duration(text: str, means: tuple[int, float]) -> None:
    assert parse_rate(text) == means


@pytest.mark.parametrize(
    "text", ["", "100", "/1m", "0/1m", "1/0s", "1/2d", "-1/1m", "1.5/1m", "²/1m"]
)
def test_a_bad_rate_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("whole", "shards", "share"),
    [
        (Limit(), 1, Limit(256)),
        (Limit(256), 4, Limit(64)),
        (Limit(1), 4, Limit(1)),  # there is no less than one
        (Limit(8, (100, 60.0)), 1, Limit(8, (100, 60.0))),
        (Limit(8, (100, 60.0)), 4, Limit(2, (25, 60.0))),
        (Limit(8, (10, 60.0)), 4, Limit(2, (2, 48.0))),
        (Limit(8, (1, 60.0)), 4, Limit(2, (1, 240.0))),
    ],
)
def test_shards_share_a_limit(whole: Limit, shards: int, share: Limit) -> None:
    assert per_shard(whole, shards) == share


class Gate:
    """A subscriber that answers when it is let, and remembers how many it had at once and when."""

    def __init__(self) -> None:
        self.url = ""
        self.under_way = 0
        self.most = 0
        self.began: list[float] = []
        self.open = asyncio.Event()

    async def answer(self, _: web.Request) -> web.Response:
        """Answer one request."""
        self.began.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.open.wait()
        self.under_way -= 1
        return web.Response()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    ours, app = Gate(), web.Application()
    app.router.add_post("/", ours.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield ours
    ours.open.set()
    await runner.cleanup()


class Office:
    """One subscription, its events, and two processes' worth of deliverers."""

    def __init__(self, bench: Any) -> None:
        """Deliver nothing yet."""
        self.context = bench.context
        self.pumps: list[Pump] = [pumps.deliver(self.context, Outage("test")) for _ in range(2)]

    async def subscribe(self, url: str, **settings: Any) -> Subscription:
        """Subscribe, and have events wait."""
        made = await manage.create(self.context, manage.CreateSubscription(url=url, **settings))
        await self.tell(made)
        return made

    async def tell(self, target: Subscription) -> None:
        """Have events wait."""
        for _ in range(EVENTS):
            await manage.test(self.context, target.id)

    async def pump(self) -> None:
        """Start all that may start now."""
        await asyncio.gather(*(pump.run() for pump in self.pumps))

    async def delivered(self, target: Subscription, number: int) -> bool:
        """Pump, and see whether so many have arrived."""
        await self.pump()
        found = await history.list_deliveries(self.context, target.id, "delivered", EVENTS)
        return len(found) == number


@pytest.fixture
async def office_of(bench_of: Any) -> AsyncIterator[Any]:
    """What opens offices; its options are the store's."""
    opened: list[Office] = []

    async def make(**options: Any) -> Office:
        opened.append(Office(await bench_of(**options)))
        return opened[-1]

    yield make
    for office in opened:
        for pump in office.pumps:
            await pump.finish(5.0)


@pytest.fixture
async def office(office_of: Any) -> Office:
    made: Office = await office_of()
    return made


async def test_a_concurrency_of_one_never_has_two_requests_at_once(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    await office.subscribe(gate.url, concurrency=1)
    await office.pump()
    await wait_until(lambda: gate.under_way == 1)
    await office.pump()
    await office.pump()
    gate.open.set()

    async def all_came() -> bool:
        await office.pump()
        return len(gate.began) == EVENTS and not gate.under_way

    await wait_until(all_came)
    assert gate.most == 1


@pytest.mark.parametrize(("settings", "most"), [({"concurrency": 4}, 4), ({}, EVENTS)])
async def test_a_concurrency_limit_is_used_fully_and_never_exceeded(
    office: Office, gate: Gate, wait_until: Any, settings: dict[str, Any], most: int
) -> None:
    office.pumps.pop()
    gate.open.set()
    made = await office.subscribe(gate.url, **settings)

    async def came(number: int) -> bool:
        await office.pump()
        return len(gate.began) == number and not gate.under_way

    await wait_until(lambda: came(EVENTS))
    gate.open.clear()
    gate.most = 0
    await office.tell(made)
    await office.pump()
    await wait_until(lambda: gate.under_way == most)
    await office.pump()
    gate.open.set()
    await wait_until(lambda: came(2 * EVENTS))
    assert gate.most == most


async def test_a_rate_limit_holds_from_the_first_delivery_on(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    gate.open.set()
    office.pumps.pop()
    await office.subscribe(gate.url, rate="5/500ms")

    async def all_came() -> bool:
        await office.pump()
        return len(gate.began) == EVENTS

    await wait_until(all_came)
    assert gate.began[-1] - gate.began[0] > 0.45  # the sixth starts after the first 500 ms


# --- made while a process delivers already ---------------------------------------------------


async def test_a_new_subscription_never_exceeds_its_concurrency(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    await office.pump()  # reads the limits; the next read is in a second
    made = await office.subscribe(gate.url, concurrency=2)

    async def two_are_under_way() -> bool:
        await office.pump()
        return gate.under_way == 2

    await wait_until(two_are_under_way, seconds=REFRESH_EVERY / 2)
    await office.pump()
    gate.open.set()
    await wait_until(lambda: office.delivered(made, EVENTS))
    assert gate.most == 2


@pytest.mark.parametrize("shards", [1, 2])
async def test_a_new_subscription_never_exceeds_its_rate(
    office_of: Any, gate: Gate, wait_until: Any, shards: int
) -> None:
    office = await office_of(shards=shards)
    gate.open.set()
    await office.pump()
    made = await office.subscribe(gate.url, rate="1/1m")
    await wait_until(lambda: office.delivered(made, 1))
    for _ in range(3):
        await office.pump()
    assert len(gate.began) == 1


async def test_a_short_rate_window_holds_for_a_new_subscription(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    gate.open.set()
    await office.pump()
    made = await office.subscribe(gate.url, rate="5/500ms")
    await wait_until(lambda: office.delivered(made, EVENTS))
    assert gate.began[-1] - gate.began[0] > 0.45  # the sixth starts after the first 500 ms


async def test_pending_deliveries_of_a_removed_subscription_are_canceled(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    await office.pump()
    made = await office.subscribe(gate.url, rate="1/1m")
    await manage.remove(office.context, made.id)

    async def ended() -> bool:
        await office.pump()
        found = await history.list_deliveries(office.context, made.id, "canceled", EVENTS)
        return len(found) == EVENTS

    await wait_until(ended)
    assert gate.began == []


# --- changed while deliveries wait ------------------------------------------------------------


async def one_of_a_day(office: Office, gate: Gate, wait_until: Any) -> Subscription:
    """A subscription that had its delivery of the day, and whose others wait."""
    gate.open.set()
    made = await office.subscribe(gate.url, rate="1/24h")
    await wait_until(lambda: office.delivered(made, 1))
    return made


@pytest.mark.parametrize("rate", [None, "1000/1m"])
@pytest.mark.parametrize("shards", [1, 2])
async def test_a_higher_rate_or_none_takes_effect_within_two_seconds(
    office_of: Any, gate: Gate, wait_until: Any, rate: str | None, shards: int
) -> None:
    office = await office_of(shards=shards)
    made = await one_of_a_day(office, gate, wait_until)
    await office.pump()  # has just read the old rate, and so claims by it after the change
    await update.change(office.context, made.id, update.UpdateSubscription(rate=rate))
    await office.pump()
    await wait_until(lambda: office.delivered(made, EVENTS), seconds=2.5 + EVENTS * 0.07)


async def test_a_rate_that_a_new_file_changes_takes_effect_without_a_call(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    made = await one_of_a_day(office, gate, wait_until)
    await office.context.store.subscriptions.save(replace(made, rate=None))
    await wait_until(lambda: office.delivered(made, EVENTS), seconds=3.0)


async def test_a_lower_rate_counts_what_was_delivered_just_before(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    gate.open.set()
    made = await office.subscribe(gate.url, rate="60/1m")  # six at once
    await wait_until(lambda: office.delivered(made, EVENTS))
    await update.change(office.context, made.id, update.UpdateSubscription(rate="1/24h"))
    await office.tell(made)
    store, breakers = office.context.store, CircuitBreakers(office.context)
    await breakers.refresh()
    assert await store.backlogs.claim(store.shards[0], "deliver", 9, breakers.lane_limits) == []


async def test_a_first_delivery_that_was_claimed_before_the_rate_was_known_counts(
    office: Office, gate: Gate
) -> None:
    """Nobody can claim the second, once the process that claimed the first has read the rate."""
    store = office.context.store
    made = await office.subscribe(gate.url, rate="1/24h")
    late, knows = CircuitBreakers(office.context), CircuitBreakers(office.context)
    await knows.refresh()
    for breakers, number in ((late, 1), (knows, 0), (late, 0)):
        claims = await store.backlogs.claim(store.shards[0], "deliver", 9, breakers.lane_limits)
        await store.backlogs.settle([Settlement(claim) for claim in claims])
        assert len(claims) == number
        await late.refresh()
    assert await store.backlogs.paused_lanes("deliver") == set()
    await update.change(office.context, made.id, update.UpdateSubscription(rate=None))
    await knows._refresh()
    assert len(await store.backlogs.claim(store.shards[0], "deliver", 9, knows.lane_limits)) == 5


async def test_a_first_delivery_that_was_claimed_before_the_rate_was_known_is_one_of_its_burst(
    office: Office, gate: Gate
) -> None:
    store = office.context.store
    await office.subscribe(gate.url, rate="30/24h")  # three at once
    breakers = CircuitBreakers(office.context)
    found = []
    for _ in range(3):
        claims = await store.backlogs.claim(store.shards[0], "deliver", 9, breakers.lane_limits)
        await store.backlogs.settle([Settlement(claim) for claim in claims])
        await breakers.refresh()
        found.append(len(claims))
    assert found == [1, 2, 0]


async def test_a_worker_with_an_older_file_charges_no_rate_that_it_does_not_know(
    office: Office, gate: Gate
) -> None:
    """It delivers nothing, and the first delivery of the others must not wait for a period."""
    store, older = office.context.store, CircuitBreakers(office.context)
    older.lane_limits("sub_in_a_newer_file")
    await older.refresh()
    assert not await store.connection.redis.exists(store.shards[0].rate_limit["deliver"])


async def test_nothing_is_left_of_the_rate_of_a_removed_subscription(
    office: Office, gate: Gate, wait_until: Any
) -> None:
    """Its deliveries are canceled by processes that do not know it."""
    store, gone = office.context.store, history.list_deliveries
    made = await one_of_a_day(office, gate, wait_until)
    await manage.remove(office.context, made.id)

    async def ended() -> bool:
        await office.pump()
        return len(await gone(office.context, made.id, "canceled", EVENTS)) == EVENTS - 1

    await wait_until(ended)
    assert not await store.connection.redis.exists(store.shards[0].rate_limit["deliver"])


# --- what a process knows -------------------------------------------------------------------


async def seen(breakers: CircuitBreakers, lane: str) -> LaneLimits:
    """The limits of a lane, after a refresh."""
    breakers.lane_limits(lane)
    await breakers.refresh()
    return breakers.lane_limits(lane)


async def test_a_changed_limit_reaches_a_process_that_never_commits(
    bench: Any, store_of: Any, wait_until: Any
) -> None:
    made = await manage.create(
        bench.context, manage.CreateSubscription(url="https://93.184.215.14/")
    )
    context = bench.context._replace(store=store_of())
    breakers = CircuitBreakers(context)
    assert await seen(breakers, made.id) == LaneLimits(MAX_CONCURRENCY)
    await update.change(
        bench.context, made.id, update.UpdateSubscription(concurrency=2, rate="10/1s")
    )

    async def heeded() -> bool:
        await breakers.refresh()
        return breakers.lane_limits(made.id) == LaneLimits(2, (10, 1.0))

    await wait_until(heeded, seconds=2.0)


async def test_callbacks_and_removed_subscriptions_have_the_default_limit(bench: Any) -> None:
    breakers = CircuitBreakers(bench.context)
    assert breakers.lane_limits("cb:https://b.example") == LaneLimits(MAX_CONCURRENCY)
    assert await seen(breakers, "sub_gone") == LaneLimits(MAX_CONCURRENCY)


async def test_a_new_subscription_gets_one_delivery_until_an_early_refresh(bench: Any) -> None:
    breakers = CircuitBreakers(bench.context)
    await breakers.refresh()
    made = await manage.create(
        bench.context, manage.CreateSubscription(url="https://93.184.215.14/", concurrency=8)
    )
    assert breakers.lane_limits(made.id) == LaneLimits(1)
    await breakers.refresh()
    assert breakers.lane_limits(made.id) == LaneLimits(8)


async def test_a_refresh_does_not_end_the_pause_of_a_new_subscription(bench: Any) -> None:
    """It answered another process with `Retry-After`."""
    settings = manage.CreateSubscription(url="https://93.184.215.14/", rate="10/1s")
    made = await manage.create(bench.context, settings)
    until = await bench.store.now() + 3600
    await bench.store.backlogs.pause("deliver", made.id, until)
    await seen(CircuitBreakers(bench.context), made.id)
    paused = bench.store.shards[0].paused["deliver"]
    rests = int(await bench.store.connection.redis.hget(paused, made.id))
    assert rests == int(until * 1000)


async def test_refreshes_for_unknown_lanes_have_a_minimum_interval(bench: Any) -> None:
    breakers, began = CircuitBreakers(bench.context), time.monotonic()
    for number in range(3):
        breakers.lane_limits(f"sub_{number}")
        await breakers.refresh()
    assert time.monotonic() - began >= 2 * NEW_LANES_EVERY


async def test_a_disabled_subscription_keeps_its_limits(bench: Any) -> None:
    made = await manage.create(
        bench.context, manage.CreateSubscription(url="https://93.184.215.14/", concurrency=8)
    )
    await update.disable(bench.context, made, "by hand")
    assert await seen(CircuitBreakers(bench.context), made.id) == LaneLimits(8)


async def test_a_failure_score_lowers_the_configured_concurrency(bench: Any) -> None:
    made = await manage.create(
        bench.context, manage.CreateSubscription(url="https://93.184.215.14/", concurrency=8)
    )
    for _ in range(2):
        await bench.store.failure_scores.record(
            made.id, "unavailable", 10, await bench.store.now() + 1
        )
    assert (await seen(CircuitBreakers(bench.context), made.id)).capacity == 2


async def test_a_rotation_keeps_a_concurrent_change(bench: Any) -> None:
    made = await manage.create(
        bench.context, manage.CreateSubscription(url="https://93.184.215.14/")
    )
    limited = update.UpdateSubscription(concurrency=3)
    await asyncio.gather(
        manage.rotate(bench.context, made.id),
        update.change(bench.context, made.id, limited),
        manage.rotate(bench.context, made.id),
    )
    current = await bench.store.subscriptions.get(made.id)
    assert current.concurrency == 3
    assert current.secrets[0] != made.secrets[0]
    assert current.secrets[1] != made.secrets[0]  # the second rotation saw the first
