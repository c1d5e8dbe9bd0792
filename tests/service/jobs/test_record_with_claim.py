"""A claim that was sent ahead brings the record of a lone update's job: its worker need not read it."""

from typing import Any

import pytest

from processor.model import State
from processor.service.jobs.ingest import LANE_LIMITS, ingest
from processor.store.work_items import Claim

IDS = {
    "plain": "1",
    "of many characters": "projects/p/jobs/ü {1}:2?",
    "with a quote": 'a"b',
    "with a backslash": "a\\b",
}


@pytest.fixture(params=[1, 4], ids=lambda n: f"{n} shards")
async def bench(request: pytest.FixtureRequest, bench_of: Any) -> Any:
    return await bench_of(shards=request.param)


async def claimed(bench: Any, job: str) -> list[Claim]:
    """Claim in the shard of a job as an actor does that waits for a nudge."""
    backlogs, keys = bench.store.backlogs, bench.store.shard("lab", job)
    connection, claims = bench.store.connection, list[Claim]()
    await connection.redis.script_load(connection.scripts["claim"].text)
    while not claims:  # the first one finds out which lanes are due
        ends = await bench.store.now() + 9
        command = backlogs.claim_command(
            keys, "ingest", 100, lambda _: LANE_LIMITS, size=10**6, ends=ends
        )
        answer = await connection.command(*command)
        claims = backlogs.claimed(keys, "ingest", answer)
    return claims


async def reads(bench: Any) -> int:
    """How often jobs were read."""
    stats = await bench.store.connection.redis.info("commandstats")
    return int(stats.get("cmdstat_mget", {"calls": 0})["calls"])


@pytest.mark.parametrize("job", IDS.values(), ids=IDS)
async def test_the_job_of_a_lone_update_is_not_read_again(bench: Any, job: str) -> None:
    shows = '"' not in job and "\\" not in job
    for status in ("running", "succeeded"):
        await bench.accept(id=job, status=status)
        [claim] = await claimed(bench, job)
        assert (claim.record is not None) == shows
        before = await reads(bench)
        await ingest(bench.context, [claim])
        assert await reads(bench) == before + (not shows)
    assert (await bench.job(job)).state is State.SUCCEEDED
    assert [kind for _, kind in await bench.events()] == ["job.started", "job.succeeded"]


async def test_of_several_updates_no_job_is_read_on_the_way(bench: Any) -> None:
    await bench.accept(id="1", status="running")
    await bench.accept(id="1", status="succeeded")
    assert [claim.record for claim in await claimed(bench, "1")] == [None, None]


async def test_a_job_that_has_changed_since_the_claim_is_read_again(bench: Any) -> None:
    await bench.accept(id="1", status="running")
    [first] = await claimed(bench, "1")
    await bench.push(id="1", status="succeeded")
    assert first.record
    await ingest(bench.context, [first])
    assert (await bench.job("1")).state is State.SUCCEEDED
    assert [kind for _, kind in await bench.events()] == ["job.succeeded"]
    lanes = [await bench.store.backlogs.depth(backlog) for backlog in ("ingest", "poll")]
    assert lanes == [(0, 0.0), (0, 0.0)]


async def test_an_update_under_an_alias_still_finds_its_job(bench: Any) -> None:
    await bench.push(id="1", alias="k2", status="running")
    await bench.accept(id="k2", status="succeeded")
    [claim] = await claimed(bench, "k2")
    assert claim.record == b"to 1"
    await ingest(bench.context, [claim])
    await bench.ingest()
    assert (await bench.job("1")).state is State.SUCCEEDED


async def test_a_key_of_another_type_is_told_by_the_read_that_follows(bench: Any) -> None:
    await bench.accept(id="1", status="running")
    keys = bench.store.shard("lab", "1")
    await bench.store.connection.redis.delete(keys.job("lab/1"))
    await bench.store.connection.redis.rpush(keys.job("lab/1"), "x")
    [claim] = await claimed(bench, "1")
    assert claim.record is None
    await bench.store.connection.redis.delete(keys.job("lab/1"))
