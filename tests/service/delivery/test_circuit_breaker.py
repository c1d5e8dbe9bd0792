"""The circuit breaker: failing subscribers are paused longer and longer, recover in steps, or are disabled."""

import asyncio
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from processor import schedule
from processor.errors import Overloaded
from processor.model import Attempt, Subscription
from processor.service.delivery.circuit_breaker import CAPACITY, CircuitBreakers, outcome_of
from processor.service.subscriptions import update
from processor.store.subscriber_health import SubscriberHealth

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (None, "unavailable"), (500, "unavailable"), (503, "unavailable"), (429, "unavailable"), (408, "unavailable"), (302, "unavailable"),
        (200, "ok"), (204, "ok"), (299, "ok"), (400, "refused"), (404, "refused"), (413, "refused"),
    ],
)  # fmt: skip
def test_the_outcome_of_an_attempt_follows_from_its_status(
    status: int | None, outcome: str
) -> None:
    assert outcome_of(Attempt(at=0, seconds=1, status=status)) == outcome


class Ward:
    """One subscriber, and what is found about it."""

    def __init__(self, bench: Any, target: Subscription) -> None:
        """Know nothing yet."""
        self.store, self.target = bench.store, target
        self.breakers = CircuitBreakers(bench.context)

    async def note(self, *statuses: int | None, wait: float | None = None) -> None:
        """Attempts one after the other, with these answers."""
        for status in statuses:
            at = await self.store.now() + 0.05  # clocks differ by a millisecond or two
            attempt = Attempt(at=at, seconds=0.1, status=status)
            await self.breakers.record(self.target, attempt, wait)

    async def health(self) -> SubscriberHealth:
        """What every worker finds."""
        found = await self.store.failure_scores.all(await self.store.now())
        return found.get(self.target.id, SubscriberHealth())

    async def pause_left(self) -> float:
        """Seconds until it gets anything again; 0 if it does not rest."""
        redis, keys = self.store.connection.redis, self.store.shards[0]
        until = await redis.hget(keys.paused["deliver"], self.target.id)
        return max(0.0, int(until) / 1000 - await self.store.now()) if until else 0.0


@pytest.fixture
async def ward(bench: Any) -> Ward:
    target = Subscription(id="sub_a", url="https://a.example/", secrets=(SECRET,))
    await bench.store.subscriptions.save(target)
    ward = Ward(bench, target)
    ward.breakers.lane_limits(target.id)
    await ward.breakers.refresh()
    return ward


async def test_a_subscriber_without_failures_has_no_failure_score(ward: Ward) -> None:
    await ward.note(200, 200)
    assert await ward.health() == SubscriberHealth()
    assert ward.breakers.lane_limits(ward.target.id).capacity == CAPACITY


async def test_consecutive_failures_halve_the_capacity_and_then_pause_the_subscriber(
    ward: Ward,
) -> None:
    await ward.note(500, None, 500, 500)
    assert ward.breakers.lane_limits(ward.target.id).capacity == CAPACITY // 16
    assert await ward.pause_left() == 0
    await ward.note(None)
    assert await ward.pause_left() == pytest.approx(schedule.BREAKER_PAUSE, abs=1)
    await ward.note(None)
    assert await ward.pause_left() == pytest.approx(2 * schedule.BREAKER_PAUSE, abs=1)


async def test_concurrent_timeouts_count_as_one_failure(ward: Ward) -> None:
    began = await ward.store.now() - 1.0
    for _ in range(50):
        await ward.breakers.record(ward.target, Attempt(at=began, seconds=15.0), None)
    health = await ward.health()
    assert (health.failure_score, health.failures) == (1, 1)


@pytest.mark.parametrize("beside", [404, 500, None])
async def test_retry_after_pauses_a_subscriber_although_another_attempt_failed_beside_it(
    ward: Ward, beside: int | None
) -> None:
    began = await ward.store.now() - 0.2
    await ward.breakers.record(ward.target, Attempt(began, 0.1, beside), None)
    await ward.breakers.record(ward.target, Attempt(began, 0.2, 429), 600.0)
    assert await ward.pause_left() == pytest.approx(600, abs=5)


async def test_a_refused_attempt_beside_each_timeout_does_not_keep_the_circuit_breaker_shut(
    ward: Ward, wait_until: Any
) -> None:
    async def is_past(time: float) -> bool:
        return await ward.store.now() > time

    for _ in range(schedule.PAUSE_FROM_SCORE):
        began = await ward.store.now() + 0.05
        await wait_until(partial(is_past, began))
        await ward.breakers.record(ward.target, Attempt(began, 0.1, 404), None)
        await ward.breakers.record(ward.target, Attempt(began, 0.2), None)
    health = await ward.health()
    assert health.failure_score == schedule.PAUSE_FROM_SCORE
    assert health.failures == 2 * schedule.PAUSE_FROM_SCORE
    assert await ward.pause_left() == pytest.approx(schedule.BREAKER_PAUSE, abs=1)


async def test_concurrent_timeouts_of_two_workers_count_as_one_failure(
    ward: Ward, bench: Any
) -> None:
    began = await ward.store.now() - 1.0
    for breakers in (ward.breakers, CircuitBreakers(bench.context)):
        await breakers.record(ward.target, Attempt(at=began, seconds=15.0), None)
    health = await ward.health()
    assert (health.failure_score, health.failures) == (1, 1)


async def test_timeouts_that_ran_beside_the_one_that_paused_do_not_prolong_the_pause(
    ward: Ward,
) -> None:
    """Else each of those that hang would add as much, although nothing was tried meanwhile."""
    redis, keys = ward.store.connection.redis, ward.store.shards[0]
    began = await ward.store.now() - 1.0
    await ward.note(*[None] * schedule.PAUSE_FROM_SCORE)
    await redis.hset(keys.paused["deliver"], ward.target.id, 1)
    await ward.breakers.record(ward.target, Attempt(began, 15.0), None)
    assert await ward.pause_left() == 0


async def test_attempts_that_are_throttled_together_pause_the_subscriber_once(ward: Ward) -> None:
    began = await ward.store.now() - 1.0
    attempts = [Attempt(began, 0.5, 429)] * 50
    with capture_logs() as logs:
        await asyncio.gather(*(ward.breakers.record(ward.target, a, 60.0) for a in attempts))
    assert [line["event"] for line in logs] == ["subscriber_paused"]
    assert await ward.pause_left() == pytest.approx(60, abs=5)


async def test_a_longer_retry_after_prolongs_a_pause_and_a_shorter_one_does_not_end_it(
    ward: Ward,
) -> None:
    for wait, left in ((60.0, 60), (600.0, 600), (5.0, 600)):
        await ward.note(429, wait=wait)
        assert await ward.pause_left() == pytest.approx(left, abs=5)


async def test_a_worker_remembers_no_subscriber_that_redis_has_forgotten(ward: Ward) -> None:
    redis, keys, now = ward.store.connection.redis, ward.store.shards[0], await ward.store.now()
    for number in range(20):
        host = Subscription(id=f"cb_{number}", url=f"https://{number}.example/x", secrets=(SECRET,))
        await ward.breakers.record(host, Attempt(now, 0.1), None)
    await redis.delete(keys.failure_scores)
    await ward.breakers._refresh()
    assert [kept for kept in vars(ward.breakers).values() if isinstance(kept, dict) and kept] == []


async def test_failures_count_after_redis_clock_was_set_back(ward: Ward) -> None:
    """By what was counted before, all that comes then is older."""
    await ward.note(500)
    redis, keys = ward.store.connection.redis, ward.store.shards[0]
    later = int((await ward.store.now() + 3600) * 1000)
    await redis.hset(keys.failure_scores, ward.target.id, f"1 {later} 1 {later}")
    await ward.note(500, 500)
    health = await ward.health()
    assert (health.failure_score, health.failures) == (3, 3)
    assert health.since <= later / 1000 - 3000


async def test_the_capacity_recovers_in_steps_and_workers_share_the_failure_score(
    ward: Ward, bench: Any
) -> None:
    await ward.note(*[500] * 12)
    other = CircuitBreakers(bench.context)
    other.lane_limits(ward.target.id)
    await other.refresh()
    assert other.lane_limits(ward.target.id).capacity == 1
    found = []
    for _ in range(5):
        await ward.note(200)
        found.append(ward.breakers.lane_limits(ward.target.id).capacity)
    assert found == [8, 64, 128, 256, 256]
    assert await ward.health() == SubscriberHealth()


async def test_refused_events_do_not_pause_a_subscriber(ward: Ward) -> None:
    await ward.note(*[400] * 30)
    assert (await ward.health()).failure_score == 0
    assert (await ward.health()).failures == 30
    assert await ward.pause_left() == 0


@pytest.mark.parametrize("status", [200, 503])
async def test_an_attempt_that_cannot_be_counted_is_an_attempt_all_the_same(
    ward: Ward, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a delivery that arrived would be sent again at once."""
    await ward.note(503)

    async def busy(*_: Any) -> SubscriberHealth:
        raise Overloaded("All connections to Redis are in use; try again")

    monkeypatch.setattr(ward.store.failure_scores, "record", busy)
    await ward.note(status)


async def test_retry_after_pauses_a_throttling_subscriber(ward: Ward) -> None:
    await ward.note(429, wait=60.0)
    assert await ward.pause_left() == pytest.approx(60, abs=1)


async def test_five_days_of_failures_disable_a_subscription_and_enabling_resets_the_score(
    ward: Ward, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ward.note(*[500] * 19)
    monkeypatch.setattr(schedule, "DISABLE_AFTER", 0.0)
    await ward.note(500)
    found = await bench.store.subscriptions.get(ward.target.id)
    assert found.disabled == "20 failures in five days or more"
    assert await ward.health() == SubscriberHealth()
    await update.enable(bench.context, ward.target.id)
    await ward.note(500)
    assert (await ward.health()).failures == 1
    assert (await bench.store.subscriptions.get(ward.target.id)).disabled is None


async def test_without_auto_disable_a_failing_subscription_is_paused_but_stays_enabled(
    ward: Ward, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.target = replace(ward.target, auto_disable=False)
    await bench.store.subscriptions.save(ward.target)
    monkeypatch.setattr(schedule, "DISABLE_AFTER", 0.0)
    await ward.note(*[500] * 25)
    assert (await bench.store.subscriptions.get(ward.target.id)).disabled is None
    assert (await ward.health()).failures == 25
    assert await ward.pause_left() == pytest.approx(32 * schedule.BREAKER_PAUSE, abs=1)


async def test_a_callback_host_has_a_circuit_breaker_but_is_never_disabled(bench: Any) -> None:
    target = Subscription(id="cb_1", url="https://b.example/x", secrets=(SECRET,))
    ward = Ward(bench, target)
    await ward.note(*[None] * 25)
    found = await bench.store.failure_scores.all(await bench.store.now())
    assert found["cb:https://b.example"].failure_score == schedule.MAX_FAILURE_SCORE
