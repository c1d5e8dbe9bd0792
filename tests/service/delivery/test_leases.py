"""Renewing the leases of what is under way never costs an attempt its record."""

import asyncio
from typing import Any

import pytest

from processor import schedule
from processor.service.runtime.outage import Outage
from processor.store.keys import Keys
from workers import pumps

JOBS = 300


async def test_a_refused_attempt_waits_for_its_retry_however_often_its_lease_is_renewed(
    desk: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settlement has the token of before a renewal if both are sent at the same time."""
    monkeypatch.setattr(schedule, "RETRY_DELAYS", (0, 3600))
    target = await desk.subscribe()
    desk.subscriber.status = 400  # what it does not like; after a 5xx it would not be called
    await desk.finish(*map(str, range(JOBS)))
    pump = pumps.deliver(desk.context, Outage("test"))
    renewing = asyncio.create_task(renew_without_a_pause(pump))

    async def all_attempted() -> bool:
        await pump.run()
        return len(desk.subscriber.got) == JOBS and not pump._running

    await wait_until(all_attempted, 60)
    renewing.cancel()
    assert len(set(desk.subscriber.got)) == JOBS
    keys: Keys = desk.store.shards[0]
    redis = desk.store.connection.redis
    assert await redis.zcard(keys.claimed("deliver", target.id)) == 0
    assert await redis.zcard(keys.retries("deliver", target.id)) == JOBS


async def renew_without_a_pause(pump: Any) -> None:
    while True:
        await pump.renew()
        await asyncio.sleep(0)
