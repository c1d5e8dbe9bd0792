"""Updates of a source of a configuration that this process has not read yet, or not any more."""

from typing import Any

import pytest

from processor import schedule
from processor.errors import NotFound

SLACK = 0.002  # seconds: Redis has whole milliseconds


async def waits(bench: Any, since: float) -> float:
    """For how many seconds from then on the only update waits."""
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    ((_, at),) = await redis.zrange(keys.due("ingest", "lab"), 0, -1, withscores=True)
    return float(at / 1000 - since)


async def test_an_update_that_came_just_now_is_soon_taken_by_a_process_that_knows_its_source(
    bench: Any, bench_of: Any, wait_until: Any
) -> None:
    await bench.accept(id="1", status="succeeded")
    without = await bench_of(without="lab")
    await without.ingest()
    with pytest.raises(NotFound):
        await bench.job("1")

    async def taken() -> bool:
        await bench.ingest()
        return await bench.jobs() == ["lab/1"]

    await wait_until(taken, seconds=3 * schedule.UNKNOWN_PAUSE)


async def test_an_old_update_of_an_unknown_source_is_tried_each_minute(
    bench: Any, bench_of: Any
) -> None:
    since = await bench.store.now()
    await bench.accept(id="1", status="succeeded", time=since - 3600)
    without = await bench_of(without="lab")
    await without.ingest()
    spent = await bench.store.now() - since
    pause = schedule.MAX_UNKNOWN_PAUSE
    assert pause - SLACK <= await waits(bench, since) <= pause + spent + SLACK


async def test_an_update_of_an_unknown_source_that_cannot_be_read_delays_no_other(
    bench: Any, bench_of: Any
) -> None:
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    await bench.accept(id="1", status="succeeded")
    (item,) = await redis.zrange(keys.due("ingest", "lab"), 0, -1)
    await redis.hset(keys.items["ingest"], item, b"{")
    await bench.accept("other", id="2", status="succeeded")
    without = await bench_of(without="lab")
    await without.ingest()
    assert await bench.jobs() == ["other/2"]
    assert await waits(bench, await bench.store.now()) > schedule.UNKNOWN_PAUSE
