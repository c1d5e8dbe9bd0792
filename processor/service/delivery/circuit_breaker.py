"""The circuit breaker of each subscriber: when to pause it, how much it gets at once, when to disable it.

A subscriber that fails does not delay the others: each failure raises its failure score, which halves
what it gets at once, and from a score of five on also pauses it, longer each time. After a
pause one attempt shows whether it has recovered. Each success halves the score.
"""

import asyncio
import time

import structlog

from processor import schedule
from processor.errors import Unavailable
from processor.keyed_locks import KeyedLocks
from processor.model import Attempt, Subscription
from processor.service.delivery.limits import Limits
from processor.service.runtime.context import Context
from processor.service.subscriptions.update import disable
from processor.service.subscriptions.validation import lane_of_target
from processor.store.subscriber_health import AttemptOutcome, SubscriberHealth
from processor.store.work_items import LaneLimits
from processor.subscription_settings import MAX_CONCURRENCY

REFRESH_EVERY = 1.0  # seconds between reads of what all workers have counted
NEW_LANES_EVERY = 0.05  # seconds between reads while there are lanes with unknown limits
CAPACITY = MAX_CONCURRENCY  # of a subscriber that does not fail and has no lower limit
SAME_PAUSE = 0.5  # seconds by which a pause may be shorter than a later attempt asked for
REFUSED = range(400, 500)  # the subscriber works, but refuses this request …
BUSY = frozenset({408, 429})  # … unless it has too much to do

log = structlog.get_logger()


class CircuitBreakers:
    """The circuit breakers of all subscribers that failed lately, as this process knows them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, SubscriberHealth] = {}
        self._pausing: KeyedLocks[str] = KeyedLocks()  # by lane
        self._limits = Limits(context)
        self._refreshed_at = -REFRESH_EVERY
        context.store.at_replacement.append(self.forget)

    def forget(self) -> None:
        """Forget all failures; the next refresh comes at once."""
        self._known.clear()
        self._limits.forget()
        self._refreshed_at = -REFRESH_EVERY

    async def refresh(self) -> None:
        """Read what all workers have counted and which limits changed: once a second, or earlier
        for lanes whose limits are unknown.
        """
        if self._limits.unknown_lanes:
            await asyncio.sleep(NEW_LANES_EVERY - (time.monotonic() - self._refreshed_at))
            await self._refresh()
        else:
            await self.refresh_if_old()

    async def refresh_if_old(self) -> None:
        """The same once a second, without waiting for unknown lanes."""
        if time.monotonic() - self._refreshed_at >= REFRESH_EVERY:
            await self._refresh()

    async def _refresh(self) -> None:
        store, self._refreshed_at = self._context.store, time.monotonic()
        self._known = await store.failure_scores.all(await store.now())
        await self._limits.refresh()

    def knows(self, lane: str) -> bool:
        """Whether the limits of a lane are known."""
        return self._limits.knows(lane)

    def lane_limits(self, lane: str) -> LaneLimits:
        """A lane's concurrency and rate: as configured, with less concurrency while it fails."""
        health, limit = self._known.get(lane), self._limits.for_lane(lane)
        failure_score = health.failure_score if health else 0
        return LaneLimits(schedule.capacity(limit.concurrency, failure_score), limit.budget)

    async def record(self, target: Subscription, attempt: Attempt, wait: float | None) -> bool:
        """Count an attempt, and pause or disable its subscriber if that is due.

        One that ran beside a failure that was counted is not counted, but its `Retry-After` holds.
        While Redis cannot count, attempts are not counted: nothing else may depend on it. Returns
        False, and does nothing, if the subscription has another URL by now, or is removed.
        """
        lane = lane_of_target(target)
        outcome = outcome_of(attempt)
        if outcome == "ok" and lane not in self._known:
            return True
        try:
            if not await self._is_current(target):
                return False
            health, counted = await self._context.store.failure_scores.record(
                lane, outcome, schedule.MAX_FAILURE_SCORE, attempt.at
            )
            if outcome != "ok" and not (counted and await self._disabled(target, lane, health)):
                score = health.failure_score if counted else 0
                pause = schedule.subscriber_pause(score, attempt.status, wait)
                await self._pause(lane, pause, attempt.status)
        except Unavailable:
            return True
        if health == SubscriberHealth():
            self._known.pop(lane, None)
        else:
            self._known[lane] = health
        return True

    async def _is_current(self, target: Subscription) -> bool:
        """Whether a target still has the URL that was called; that of a callback never changes."""
        if target.id.startswith("cb_"):
            return True
        found = await self._context.store.subscriptions.get(target.id)
        return found is not None and found.url == target.url

    async def _disabled(self, target: Subscription, lane: str, health: SubscriberHealth) -> bool:
        """Disable a subscriber if it has failed for too long; whether it has."""
        now = await self._context.store.now()
        due = _may_disable(target) and schedule.should_disable(health.since, health.failures, now)
        if due:
            await disable(self._context, target, f"{health.failures} failures in five days or more")
            await self._context.store.failure_scores.forget(lane)
        return due

    async def _pause(self, lane: str, seconds: float | None, status: int | None) -> None:
        """Pause a subscriber, unless it is paused for about as long already.

        Attempts that end together often ask for the same pause: one of them writes it.
        """
        if not seconds:
            return
        backlogs, now = self._context.store.backlogs, await self._context.store.now()
        enough = now + max(seconds - SAME_PAUSE, 0.0)
        async with self._pausing[lane]:
            if await backlogs.paused_until("deliver", lane) < enough:
                log.info("subscriber_paused", lane=lane, seconds=round(seconds, 1), status=status)
                await backlogs.pause("deliver", lane, now + seconds)


def _may_disable(target: Subscription) -> bool:
    return target.id.startswith("sub_") and target.auto_disable


def outcome_of(attempt: Attempt) -> AttemptOutcome:
    """Whether an attempt succeeded, or the subscriber refused it or was unavailable."""
    if attempt.status is None or attempt.status in BUSY:
        return "unavailable"
    if attempt.succeeded:
        return "ok"
    return "refused" if attempt.status in REFUSED else "unavailable"
