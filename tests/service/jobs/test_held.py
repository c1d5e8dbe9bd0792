"""With `track = "registered"` pushes about unknown jobs are held until somebody registers the job."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from processor.errors import NotFound, Overloaded
from processor.model import State
from processor.service.events.tail import Tailer
from processor.service.jobs import query
from processor.service.jobs.watch import unwatch
from processor.service.polling.mirror import Mirror, Reader
from processor.store.held import HOLD
from processor.store.work_items import LaneLimits

from .test_identity import lose, snapshot

SOURCE = "registered"


@pytest.fixture(params=[1, 4], ids=lambda n: f"{n} shards")
async def bench(request: pytest.FixtureRequest, bench_of: Any) -> Any:
    return await bench_of(shards=request.param, lease=0.001)


async def hold(bench: Any, job: str, status: str = "succeeded", **more: Any) -> None:
    """Send a push that is held, and ingest what is due: nothing."""
    receipt = await bench.push(SOURCE, id=job, status=status, **more)
    assert receipt.counts == (0, 0, 0, 0, 1)


async def register(bench: Any, job: str, **request: Any) -> bool:
    """PUT a job, and ingest what is due then; whether the job is new."""
    _, new = await bench.watch(job, SOURCE, **request)
    await bench.ingest()
    return bool(new)


async def completions(bench: Any) -> Counter[str]:
    """How often each completion was published, by its id."""
    return Counter(event for event, kind in await bench.events() if kind == "job.succeeded")


async def waiting(bench: Any) -> dict[str, int]:
    """The held updates of each source that has some."""
    found: Counter[str] = Counter()
    for keys in bench.store.shards:
        fields = await bench.store.connection.redis.hgetall(keys.waiting)
        found.update({f.decode(): int(n) for f, n in fields.items() if f.startswith(b"held:")})
    return dict(found)


async def end_hold(bench: Any) -> None:
    """Let the time of all held updates be up."""
    redis, now = bench.store.connection.redis, int(await bench.store.now() * 1000)
    for keys in bench.store.shards:
        due = keys.due("ingest", SOURCE)
        for item, _ in await redis.zrange(
            due, now + HOLD * 500, "+inf", byscore=True, withscores=True
        ):
            if not item.startswith(b"deadline:"):
                await redis.zadd(due, {item: now - 1000})
                await redis.zadd(keys.lanes["ingest"], {SOURCE: now - 1000}, lt=True)
    await bench.ingest()


async def test_a_push_about_an_unknown_job_is_held_and_makes_no_job(bench: Any):
    await hold(bench, "a")
    assert (await bench.jobs(), await bench.events()) == ([], [])
    with pytest.raises(NotFound):
        await bench.job("a", SOURCE)


async def test_registration_applies_what_is_held_in_the_order_of_its_arrival(bench: Any):
    words = [f"step {number}" for number in range(20)]
    for word in words:
        await hold(bench, "a", word)
    await hold(bench, "a")
    assert await register(bench, "a") is True
    assert (await bench.job("a", SOURCE)).state is State.SUCCEEDED
    lines = await query.history(bench.context, SOURCE, "a")
    assert [line["status"] for line in lines] == [*words, "succeeded"]
    assert await waiting(bench) == {}
    assert list((await completions(bench)).values()) == [1]


async def test_what_was_held_counts_from_its_own_arrival(bench: Any):
    before = await bench.store.now()
    await hold(bench, "a", "running")
    arrived = await bench.store.now()
    await register(bench, "a")
    assert before <= (await bench.job("a", SOURCE)).status_at <= arrived


@pytest.mark.parametrize("aliases", [["a"], ["x", "a", "y"]], ids=len)
async def test_registration_under_another_name_applies_what_is_held(bench: Any, aliases: list[str]):
    await hold(bench, "a")
    await register(bench, "b", aliases=aliases)
    assert (await bench.job("b", SOURCE)).state is State.SUCCEEDED
    assert len(await bench.jobs()) == 1


async def test_registration_under_an_alias_in_the_push_applies_what_is_held(bench: Any):
    await hold(bench, "a", alias="x")
    await register(bench, "x")
    assert (await bench.job("x", SOURCE)).state is State.SUCCEEDED
    assert len(await bench.jobs()) == 1


async def test_registration_applies_what_is_held_under_each_of_its_names(bench: Any):
    await hold(bench, "a", "running")
    await hold(bench, "b")
    await register(bench, "c", aliases=["a", "b"])
    assert len(await bench.jobs()) == 1
    for name in "abc":
        assert (await bench.job(name, SOURCE)).state is State.SUCCEEDED
    assert await waiting(bench) == {}


async def test_a_push_that_connects_two_held_names_lets_either_release_both(bench: Any):
    await hold(bench, "a")
    await hold(bench, "b", "running")
    await hold(bench, "b", "queued", alias="a")
    await register(bench, "a")
    assert (await bench.job("b", SOURCE)).state is State.SUCCEEDED
    assert len(await bench.jobs()) == 1
    assert await waiting(bench) == {}


async def test_a_push_about_a_known_job_that_names_a_held_one_applies_what_is_held(bench: Any):
    await hold(bench, "a")
    await register(bench, "b")
    receipt = await bench.push(SOURCE, id="b", alias="a", status="running")
    assert receipt.counts == (1, 0, 0, 0, 0)
    assert (await bench.job("b", SOURCE)).state is State.SUCCEEDED
    assert await waiting(bench) == {}


async def test_a_push_under_an_alias_of_a_known_job_is_accepted_and_dedupes(bench: Any):
    await register(bench, "b", aliases=["a"])
    for counts in ((1, 0, 0, 0, 0), (0, 1, 0, 0, 0)):
        assert (await bench.push(SOURCE, id="a", status="succeeded")).counts == counts
    assert (await bench.job("b", SOURCE)).state is State.SUCCEEDED


async def test_a_push_about_a_deleted_job_is_ignored_whatever_names_it_gives(bench: Any):
    await register(bench, "a")
    await unwatch(bench.context, SOURCE, "a")
    receipt = await bench.push(SOURCE, id="b", alias="a", status="succeeded")
    assert receipt.held == 0
    assert (await bench.jobs(), await waiting(bench)) == ([], {})


async def test_a_put_that_adds_a_name_applies_what_is_held_under_it(bench: Any):
    await hold(bench, "a")
    await register(bench, "b")
    assert await register(bench, "b", aliases=["a"]) is False
    assert (await bench.job("b", SOURCE)).state is State.SUCCEEDED


async def test_a_poll_that_adds_a_name_applies_what_is_held_under_it(bench: Any, provider: Any):
    provider.says("b", status="running", alias="a")
    await hold(bench, "a")
    await register(bench, "b", poll={"every": "1ms"})
    while not await bench.poll():
        pass
    await bench.ingest()
    assert (await bench.job("b", SOURCE)).state is State.SUCCEEDED


async def test_the_mirrors_first_sight_with_a_key_applies_what_is_held(bench: Any, provider: Any):
    provider.says("a", status="running")
    await hold(bench, "a")
    source, mirror = (
        bench.context.settings.sources[SOURCE],
        Mirror(bench.context, Tailer(bench.store)),
    )
    await mirror.read(source, "a", Reader(has_key=False))
    await bench.ingest()
    assert await bench.jobs() == []
    await mirror.read(source, "a", Reader(has_key=True))
    await bench.ingest()
    assert (await bench.job("a", SOURCE)).state is State.SUCCEEDED


async def test_a_held_push_that_is_sent_again_is_a_duplicate(bench: Any):
    await hold(bench, "a")
    assert (await bench.push(SOURCE, id="a", status="succeeded")).counts == (0, 1, 0, 0, 0)
    await register(bench, "a")
    assert (await bench.push(SOURCE, id="a", status="succeeded")).counts == (0, 1, 0, 0, 0)
    assert list((await completions(bench)).values()) == [1]


async def test_what_nobody_registers_ends_with_its_mark_and_is_counted_and_logged(bench: Any):
    for job in ("a", "b"):
        await hold(bench, job, event=job, alias=f"{job}-alias")
    with capture_logs() as logs:
        await end_hold(bench)
    ended = [line for line in logs if line["event"] == "orphans_expired"]
    assert sum(line["count"] for line in ended) == 2
    assert {line["source"] for line in ended} == {SOURCE}
    counted = bench.context.metrics.registry.get_sample_value
    assert counted("ringback_orphans_expired_total", {"source": SOURCE}) == 2
    assert (await bench.jobs(), await waiting(bench)) == ([], {})
    assert await bench.store.backlogs.depth("ingest") == (0, 0.0)
    redis = bench.store.connection.redis
    assert await redis.keys("*:held:*") + await redis.keys("*:seen:*") == []
    await hold(bench, "a", event="a")  # sent again, it is new


async def test_what_was_held_before_a_job_was_deleted_stays_gone(bench: Any):
    await hold(bench, "a", "running")
    await register(bench, "a")
    await unwatch(bench.context, SOURCE, "a")
    assert (await bench.push(SOURCE, id="a", status="succeeded")).held == 0
    assert await bench.jobs() == []


async def test_what_is_held_counts_in_the_reserve_of_memory(bench: Any):
    memory = bench.store.memory
    for job in ("a", "b"):
        await hold(bench, job)
    await memory.refresh_now()
    assert (memory.use.waiting[SOURCE].updates, memory.reserved > 0) == (2, True)
    await register(bench, "a")
    await end_hold(bench)
    await memory.refresh_now()
    assert (SOURCE in memory.use.waiting, memory.use.timers) == (False, 0)


async def test_held_updates_leave_memory_for_the_put_that_releases_them(bench: Any):
    await hold(bench, "a")
    redis, memory = bench.store.connection.redis, bench.store.memory
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", int(used / 0.8))  # 5 % are left for what is new
    try:
        await memory.refresh_now()
        with pytest.raises(Overloaded, match="or memory is short"):
            await bench.push(SOURCE, id="b", status="running")
        await register(bench, "a")
        assert (await bench.push(SOURCE, id="a", status="running")).accepted == 1
        assert (await bench.push("lab", id="c", status="running")).accepted == 1
    finally:
        await redis.config_set("maxmemory", 0)
    await memory.refresh_now()
    await hold(bench, "b")


async def test_a_source_that_tracks_all_jobs_runs_no_command_more(bench: Any):
    redis = bench.store.connection.redis
    await bench.accept("lab", id="a", status="succeeded")
    await redis.config_resetstat()
    await bench.accept("lab", id="b", status="succeeded")
    calls = {name: row["calls"] for name, row in (await redis.info("commandstats")).items()}
    ours = {"cmdstat_pexpire", "cmdstat_del", "cmdstat_zscore"}
    assert (calls["cmdstat_evalsha"], calls.keys() & ours) == (1, set())


async def test_a_full_hold_refuses_what_is_new_until_there_is_room(
    bench: Any, monkeypatch: pytest.MonkeyPatch
):
    shards = len(bench.store.shards)
    monkeypatch.setattr("processor.store.inbox.MOST_HELD", 3 * shards + shards - 1)
    home = bench.store.shard(SOURCE, "a")
    jobs = (f"job-{n}" for n in range(1000))
    here = [job for job in jobs if bench.store.shard(SOURCE, job) is home]
    for job in here[:3]:
        await hold(bench, job)
    with pytest.raises(Overloaded, match="nobody has registered"):
        await bench.push(SOURCE, id=here[3], status="succeeded")
    assert (await bench.push(SOURCE, id=here[0], status="succeeded")).duplicates == 1
    await register(bench, here[0])
    await hold(bench, here[3])
    assert await waiting(bench) == {f"held:{SOURCE}": 3}


async def test_a_source_that_tracks_all_jobs_from_now_on_takes_what_is_held_at_its_end(
    bench: Any, monkeypatch: pytest.MonkeyPatch
):
    await hold(bench, "a", "running")
    await hold(bench, "a")
    sources = bench.context.settings.sources
    monkeypatch.setitem(sources, SOURCE, replace(sources[SOURCE], track="all"))
    await end_hold(bench)
    assert (await bench.job("a", SOURCE)).state is State.SUCCEEDED
    assert await waiting(bench) == {}


async def test_the_pushes_of_an_unsigned_source_are_held_and_name_no_other_job(bench: Any):
    receipt = await bench.push("anybodys", id="evil", alias="victim", status="succeeded")
    assert receipt.held == 1
    await bench.watch("victim", "anybodys")
    await bench.ingest()
    job = await bench.job("victim", "anybodys")
    assert (job.id, job.aliases, job.state) == ("victim", (), State.QUEUED)


async def test_a_completion_keeps_its_id_if_redis_loses_its_registration(bench: Any):
    await hold(bench, "a", "running", alias="x")
    await hold(bench, "b")
    before, ids = await snapshot(bench), set()
    for names in (["a", "b"], ["x", "b"], ["a", "b"]):
        await lose(bench, before)
        await register(bench, names[0], aliases=names[1:])
        ids |= set(await completions(bench))
    assert len(ids) == 1


async def test_a_worker_that_dies_with_what_was_released_loses_nothing(bench: Any):
    for number in range(5):
        await hold(bench, "a", "running", event=str(number))
    await hold(bench, "a")
    await bench.watch("a", SOURCE)
    wide = LaneLimits(1000)
    for keys in bench.store.shards:  # its lease ends after a millisecond
        await bench.store.backlogs.claim(keys, "ingest", 200, lambda _: wide)
    while (await bench.job("a", SOURCE)).state is not State.SUCCEEDED:
        await bench.ingest()
    assert list((await completions(bench)).values()) == [1]


ROUNDS = 150


async def test_in_whatever_order_a_push_and_its_registration_come_the_job_ends_once(
    bench: Any, bench_of: Any
):
    """Submitted, pushed and registered at the same time, by two receivers and two workers."""
    rng = random.Random(7)
    other = await bench_of(shards=len(bench.store.shards))

    async def one(number: int) -> None:
        name, alias = f"job-{number}", f"alias-{number}"
        benches = [bench, other]
        steps = [
            lambda: benches[number % 2].push(SOURCE, id=name, status="running", alias=alias),
            lambda: benches[(number + 1) % 2].push(SOURCE, id=name, status="succeeded"),
            lambda: benches[rng.randrange(2)].watch(
                *rng.choice([(name, SOURCE), (alias, SOURCE)]),
                **rng.choice([{}, {"aliases": [alias]}, {"aliases": [name]}]),
            ),
        ]
        rng.shuffle(steps)
        if number % 3 == 0:
            for step in steps:
                await step()
        else:
            await asyncio.gather(*(step() for step in steps))

    await asyncio.gather(*map(one, range(ROUNDS)))
    await asyncio.gather(bench.ingest(), other.ingest())
    await bench.ingest()
    ended = await completions(bench)
    jobs = [await bench.job(f"job-{n}", SOURCE) for n in range(ROUNDS)]
    assert [job.state for job in jobs] == [State.SUCCEEDED] * ROUNDS
    assert (len(ended), set(ended.values())) == (ROUNDS, {1})
    assert await waiting(bench) == {}


async def test_a_job_that_is_registered_again_takes_a_push_again(bench: Any):
    await register(bench, "a")
    assert (await bench.push(SOURCE, id="a", status="succeeded")).accepted == 1
    await unwatch(bench.context, SOURCE, "a")
    await register(bench, "a")
    receipt = await bench.push(SOURCE, id="a", status="succeeded")
    assert (receipt.accepted, receipt.held) == (1, 0)
    assert (await bench.job("a", SOURCE)).state is State.SUCCEEDED


async def test_a_push_that_was_held_counts_for_every_record_of_its_job(bench_of: Any):
    """It was held under a name that turned out to be another job's."""
    bench = await bench_of(shards=1)
    await register(bench, "a")
    running = {"id": "x", "alias": "k", "status": "running"}
    assert (await bench.push(SOURCE, **running, event="1")).held == 1
    await register(bench, "a", aliases=["x"])
    assert (await bench.push(SOURCE, **running, event="1")).duplicates == 1
    assert (await bench.job("a", SOURCE)).state is State.RUNNING
