"""Which job an update is about, whatever name it has and whatever shard that name is in."""

from typing import Any

import pytest

from processor.errors import NotFound
from processor.model import Origin, Retention, State, StatusUpdate
from processor.provider import full_id
from processor.service.jobs import query, watch
from processor.service.jobs.advance import advance
from processor.service.jobs.aliases import write_aliases
from processor.service.jobs.decide import IncomingUpdate

SHARDS = [1, 4]


@pytest.fixture(params=SHARDS, ids=lambda n: f"{n} shards")
async def bench(request: pytest.FixtureRequest, bench_of: Any) -> Any:
    return await bench_of(shards=request.param)


async def test_an_update_with_an_alias_belongs_to_the_aliased_job(bench: Any):
    await bench.push(id="1", alias="k2", status="running")
    await bench.push(id="k2", status="succeeded")
    job = await bench.job("1")
    assert (job.state, job.aliases) == (State.SUCCEEDED, ("k2",))
    assert await bench.jobs() == ["lab/1"]


async def test_an_update_with_an_unknown_id_and_a_known_alias_belongs_to_the_aliased_job(
    bench: Any,
):
    await bench.push(id="k2", status="running")
    await bench.push(id="1", alias="k2", status="succeeded")
    job = await bench.job("1")
    assert (job.id, job.state, job.aliases) == ("k2", State.SUCCEEDED, ("1",))
    assert await bench.jobs() == ["lab/k2"]


async def test_the_first_name_seen_stays_the_id_of_the_job(bench: Any):
    for name in ("a", "b", "c"):
        await bench.push(id=name, alias="a", status="running", event=name)
    assert {(await bench.job(name)).id for name in ("a", "b", "c")} == {"a"}


async def test_an_alias_that_is_another_job_is_flagged_and_not_merged(bench: Any):
    for name in ("1", "2"):
        await bench.push(id=name, status="running", event=name)
    await bench.push(id="1", alias="2", status="succeeded", event="e")
    first, second = await bench.job("1"), await bench.job("2")
    assert (first.state, first.aliases) == (State.SUCCEEDED, ())
    assert (second.state, second.id) == (State.RUNNING, "2")
    assert (await query.history(bench.context, "lab", "1"))[-1]["flags"] == ["alias_conflict"]


async def test_the_same_name_in_two_sources_is_two_jobs(bench: Any):
    await bench.push(id="1", alias="k2", status="running")
    await bench.push("other", id="k2", status="succeeded")
    assert (await bench.job("1")).state is State.RUNNING
    assert (await bench.job("k2", "other")).state is State.SUCCEEDED


async def test_jobs_with_aliases_in_any_shard_get_all_their_updates(bench: Any):
    for n in range(30):
        await bench.push(id=f"{n}", alias=f"k{n}", status="running", event=f"a{n}")
    for n in range(30):
        await bench.push(id=f"k{n}", status="succeeded", event=f"b{n}")
    jobs = [await bench.job(f"{n}") for n in range(30)]
    assert {(job.state, job.sequence) for job in jobs} == {(State.SUCCEEDED, 2)}
    assert len(await bench.jobs()) == 30
    assert (await bench.store.backlogs.depth("ingest"))[0] == 0  # timers of finished jobs too
    assert len(await bench.events()) == 60


async def test_moving_an_update_twice_moves_it_once(bench: Any):
    await bench.push(id="1", alias="k2", status="running")
    for _ in range(2):
        await bench.push(id="k2", status="succeeded", event="e")
    assert [kind for _, kind in await bench.events()] == ["job.started", "job.succeeded"]


async def test_an_update_without_a_claim_is_not_lost_between_shards(bench: Any):
    """The mirror polls without a claim, and the provider may answer with another id."""
    for n in range(8):
        keys = bench.store.shard("lab", f"k{n}")
        update = StatusUpdate(
            "lab", f"{n}", "running", State.RUNNING, 1.0, Origin.POLL, aliases=(f"k{n}",)
        )
        await advance(bench.context, keys, [IncomingUpdate(update)])
    await bench.ingest()
    assert [(await bench.job(f"k{n}")).id for n in range(8)] == [f"{n}" for n in range(8)]


async def test_a_late_push_of_a_deleted_job_is_dropped(bench: Any):
    await bench.push(id="1", alias="k2", status="running", event="a")
    await watch.unwatch(bench.context, "lab", "1")
    await bench.push(id="1", status="succeeded", event="b")
    assert await bench.jobs() == []
    assert [kind for _, kind in await bench.events()] == ["job.started"]


@pytest.mark.parametrize(
    "late", [{"id": "k2"}, {"id": "k2", "alias": "1"}, {"id": "3", "alias": "k2"}]
)
async def test_a_late_push_with_an_alias_of_a_deleted_job_is_dropped(
    bench: Any, late: dict[str, str]
):
    await bench.push(id="1", alias="k2", status="running", event="a")
    await watch.unwatch(bench.context, "lab", "1")
    await bench.push(**late, status="succeeded", event="b")
    assert await bench.jobs() == []
    assert [kind for _, kind in await bench.events()] == ["job.started"]


@pytest.mark.parametrize("name", ["1", "k2"])
async def test_a_deleted_job_can_be_watched_again_under_each_of_its_names(bench: Any, name: str):
    await bench.push(id="1", alias="k2", status="running")
    await watch.unwatch(bench.context, "lab", "1")
    with pytest.raises(NotFound):
        await bench.job("1")
    found, new = await bench.watch(name)
    assert new
    assert found.job.state is State.QUEUED
    await bench.push(id=name, status="succeeded", event="later")
    assert (await bench.job(name)).state is State.SUCCEEDED


async def test_an_alias_is_kept_as_long_as_its_job(bench: Any):
    """If it were not, a push with the alias would make a second job."""
    await bench.push(id="1", alias="k2", status="succeeded", attempt=1, event="a")
    redis, week = bench.store.connection.redis, 7 * 86_400
    keys = {name: bench.store.shard("lab", name).job(f"lab/{name}") for name in ("1", "k2")}
    for key in keys.values():  # as if a week had passed
        await redis.pexpire(key, int((72 * 3600 + Retention().jobs - week) * 1000))
    await bench.push(id="1", alias="k2", status="running", attempt=2, event="b")
    ttls = {name: await redis.pttl(key) for name, key in keys.items()}
    assert ttls["k2"] >= ttls["1"] - 1000


async def test_aliases_are_written_and_those_of_other_jobs_are_returned(bench: Any):
    for name, alias in (("1", "k1"), ("2", "k2")):
        await bench.push(id=name, alias=alias, status="running", event=name)
    job = await bench.job("1")
    assert await write_aliases(bench.context, job, ["k1", "k2", "k3", "2"]) == ["k2", "2"]
    assert {n: (await bench.job(n)).id for n in ("k1", "k2", "k3", "2")} == {
        "k1": "1",
        "k2": "2",
        "k3": "1",
        "2": "2",
    }


async def test_the_kind_is_part_of_a_jobs_name():
    assert full_id("media", "l9dq") == "media:l9dq"
