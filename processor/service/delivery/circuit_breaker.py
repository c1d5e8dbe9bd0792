"""How subscribers stand: who is left alone for a while, how much each gets at once, who is given up.

One that fails costs the others nothing: the more often it fails in a row, the less it gets at
once, and soon it rests altogether, longer each time (a circuit breaker). Then one attempt
shows whether it is back, and each success doubles what it gets.
"""

import asyncio
import time

import structlog

from processor import schedule
from processor.errors import StoreUnavailable
from processor.model import CONCURRENCY, Attempt, Subscription
from processor.service.delivery.limits import Limits
from processor.service.runtime.context import Context
from processor.service.subscriptions.update import disable
from processor.service.subscriptions.validation import lane_of
from processor.store.subscriber_health import How, SubscriberHealth
from processor.store.work_items import LaneLimits

LOOK_EVERY = 1.0  # seconds between looks at what other workers found
MEET_EVERY = 0.05  # seconds between looks for subscriptions that are new
CAPACITY = CONCURRENCY  # of one that is well, and was not set to less
REFUSED = range(400, 500)  # the subscriber is there, but did not like this one …
SICK = frozenset({408, 429})  # … unless it was busy

log = structlog.get_logger()


class CircuitBreakers:
    """What this process knows of all subscribers that are not simply well."""

    def __init__(self, context: Context) -> None:
        """Know nothing bad of anybody."""
        self._context = context
        self._known: dict[str, SubscriberHealth] = {}
        self._noted: dict[str, float] = {}  # when a lane's last failure was counted
        self._limits = Limits(context)
        self._looked = -LOOK_EVERY
        context.store.at_replacement.append(self.forget)

    def forget(self) -> None:
        """Know nothing bad of anybody; the next look comes at once."""
        self._known.clear()
        self._noted.clear()
        self._limits.forget()
        self._looked = -LOOK_EVERY

    async def look(self) -> None:
        """See, once in a while, what other workers found and what was changed; soon, who is new."""
        ago = time.monotonic() - self._looked
        if ago < LOOK_EVERY and not self._limits.new:
            return
        await asyncio.sleep(MEET_EVERY - ago)
        store, self._looked = self._context.store, time.monotonic()
        self._known = await store.health.all(await store.now())
        await self._limits.look()

    def pace(self, lane: str) -> LaneLimits:
        """How many attempts a lane gets at once, and how fast: as set, and less while it fails."""
        known, limit = self._known.get(lane), self._limits.of(lane)
        distrust = known.distrust if known else 0
        return LaneLimits(schedule.capacity(limit.concurrency, distrust), limit.budget)

    async def note(self, target: Subscription, attempt: Attempt, wait: float | None) -> None:
        """Count an attempt, and leave the subscriber alone if that is due.

        Redis being away loses a count and nothing else.
        """
        lane = target.id if target.id.startswith("sub_") else lane_of(target.url)
        how = judged(attempt)
        if how == "ok" and lane not in self._known:
            return
        if how != "ok":
            if attempt.at < self._noted.get(lane, 0.0):
                return  # under way when the last one failed: the same reason once more
            self._noted[lane] = await self._context.store.now()
        try:
            stands = await self._context.store.health.noted(
                lane, how, schedule.DISTRUST_AT_MOST, attempt.at
            )
            if how != "ok":
                await self._rest(target, lane, stands, attempt, wait)
        except StoreUnavailable:
            return
        if stands == SubscriberHealth():
            self._known.pop(lane, None)
            self._noted.pop(lane, None)
        else:
            self._known[lane] = stands

    async def _rest(
        self,
        target: Subscription,
        lane: str,
        stands: SubscriberHealth,
        attempt: Attempt,
        wait: float | None,
    ) -> None:
        now = await self._context.store.now()
        if _may_end(target) and schedule.hopeless(stands.since, stands.failures, now):
            await disable(self._context, target, f"{stands.failures} failures in five days or more")
            await self._context.store.health.forget(lane)
            return
        pause = schedule.subscriber_pause(stands.distrust, attempt.status, wait)
        if pause:
            log.info("subscriber_paused", lane=lane, seconds=round(pause, 1), status=attempt.status)
            await self._context.store.backlogs.park("deliver", lane, now + pause)


def _may_end(target: Subscription) -> bool:
    """Whether failing for long may disable it."""
    return target.id.startswith("sub_") and target.auto_disable


def judged(attempt: Attempt) -> How:
    """Whether an attempt went well, met a sick subscriber, or one that did not want this."""
    if attempt.status is None or attempt.status in SICK:
        return "sick"
    if attempt.status // 100 == 2:  # noqa: PLR2004 - HTTP's success
        return "ok"
    return "refused" if attempt.status in REFUSED else "sick"
