"""A job keeps its uid, and so its completion its id, when Redis loses commits but not pushes.

`lose` puts Redis back to what it held at an earlier moment: its append-only file, cut there.
"""

import asyncio
import itertools
from typing import Any

import pytest

from processor.errors import Conflict, NotFound
from processor.model import Origin, Retention, State, StatusUpdate
from processor.service.events.tail import Tailer
from processor.service.jobs import ingest, watch
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.service.jobs.query import find
from processor.service.polling import mirror
from processor.service.pushes.receive import _digest
from processor.store.names import uid_of_push

Snapshot = dict[bytes, tuple[bytes, int]]

NAMES = {  # the names that pushes give one job, each push's id first
    "one name": ["a"],
    "the alias alone comes second": ["ax", "x"],
    "the alias alone comes first": ["x", "ax"],
    "each names the other": ["ax", "xa"],
    "a third name": ["ax", "cx", "c"],
    "a chain of names": ["ab", "bc", "cd"],
}


@pytest.fixture(params=[1, 4], ids=lambda n: f"{n} shards")
async def bench(request: pytest.FixtureRequest, bench_of: Any) -> Any:
    return await bench_of(shards=request.param, lease=0.001)


async def snapshot(bench: Any) -> Snapshot:
    """All keys and values of Redis."""
    redis = bench.store.connection.redis
    keys = [key async for key in redis.scan_iter(count=1000)]
    return {key: (await redis.dump(key), max(0, await redis.pttl(key))) for key in keys}


async def lose(bench: Any, since: Snapshot) -> None:
    """Restore Redis to an earlier state."""
    redis = bench.store.connection.redis
    await redis.flushall()
    for key, (value, ttl) in since.items():
        await redis.restore(key, ttl, value)


async def accept(bench: Any, names: str, status: str = "succeeded", **more: Any) -> None:
    """Accept a push with these names of a job; each call is a new push."""
    event = f"e{next(COUNT)}"
    alias = {"alias": names[1:]} if names[1:] else {}
    receipt = await bench.accept(id=names[:1], status=status, event=event, **alias, **more)
    assert receipt.accepted == 1


COUNT = itertools.count()


async def completions(bench: Any) -> set[str]:
    return {event for event, kind in await bench.events() if kind == "job.succeeded"}


async def ingest_in(bench: Any, order: tuple[int, ...]) -> None:
    """Ingest waiting updates one by one in an order; then those that this moved."""
    claims = [c for keys in bench.store.shards for c in await bench.claim(keys, "ingest")]
    claims.sort(key=lambda claim: claim.item)
    for place in order:
        await ingest.ingest(bench.context, [claims[place]])
    await bench.ingest()


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
async def test_a_completion_keeps_its_id_if_redis_loses_its_commit(bench: Any, names: list[str]):
    for pushed in names:
        await accept(bench, pushed)
    before, ids = await snapshot(bench), set()
    for order in [*itertools.permutations(range(len(names)))] * 2:
        await lose(bench, before)
        await ingest_in(bench, order)
        assert len(await bench.jobs()) == 1
        ids |= await completions(bench)
    assert len(ids) == 1


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
async def test_a_completion_keeps_its_id_if_a_push_is_accepted_after_the_loss(
    bench: Any, names: list[str]
):
    ids = set()
    for pushed in names:
        await accept(bench, pushed)
        before = await snapshot(bench)
        await bench.ingest()
        ids |= await completions(bench)
        await lose(bench, before)
    await bench.ingest()
    assert ids == await completions(bench)
    assert len(ids) == 1


async def test_several_updates_of_one_job_in_a_push_make_one_job(bench: Any):
    updates = [
        StatusUpdate(
            "lab", names[0], state.value, state, 1.0, Origin.PUSH, aliases=tuple(names[1:])
        )
        for names, state in (
            ("a", State.QUEUED),
            ("x", State.RUNNING),
            ("ax", State.RUNNING),
            ("xa", State.SUCCEEDED),
        )
    ]
    pushed = [
        QueuedUpdate(bench.store.shard("lab", u.id), f"p{n}", u) for n, u in enumerate(updates)
    ]
    assert await enqueue(bench.context, pushed) == [True] * 4
    before, ids = await snapshot(bench), set()
    for order in itertools.permutations(range(4)):
        await lose(bench, before)
        await ingest_in(bench, order)
        assert len(await bench.jobs()) == 1
        ids |= await completions(bench)
    assert len(ids) == 1


async def test_the_completion_of_each_attempt_keeps_its_id(bench: Any):
    ids = []
    for attempt in (1, 2):
        await accept(bench, "ax", attempt=attempt)
        before = await snapshot(bench)
        for _ in range(2):
            await lose(bench, before)
            await bench.ingest()
            ids.append((await bench.job("a")).completion)
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert ids[1] != ids[2]


@pytest.mark.parametrize("put", ["a", "x", "ax", "xa", "bx", "ba"])
async def test_a_put_uses_the_uid_that_waiting_pushes_reserved(bench: Any, put: str):
    await accept(bench, "ax")
    before = await snapshot(bench)
    found, new = await bench.watch(put[0], aliases=list(put[1:]))
    assert new
    await bench.ingest()
    ids = await completions(bench)
    assert {(await bench.job(name)).id for name in put} == {"a"}
    await lose(bench, before)  # the PUT as well
    await bench.ingest()
    assert await completions(bench) == ids == {f"evt_{found.job.uid}_1_final"}


async def test_a_put_with_an_alias_that_another_waiting_job_reserved_is_refused(bench: Any):
    await accept(bench, "x")
    await accept(bench, "a")
    with pytest.raises(Conflict, match="'x' already is a job"):
        await bench.watch("a", aliases=["x"])
    await bench.ingest()
    assert await bench.jobs() == ["lab/a", "lab/x"]


async def test_a_put_with_an_alias_that_is_a_deleted_job_is_refused(bench: Any):
    await bench.watch("x")
    await watch.unwatch(bench.context, "lab", "x")
    with pytest.raises(Conflict, match="'x' was deleted"):
        await bench.watch("a", aliases=["x"])
    assert await bench.jobs() == []


async def test_a_job_whose_pushes_wait_is_not_found_yet(bench: Any):
    await accept(bench, "ax")
    for name in "ax":
        with pytest.raises(NotFound):
            await find(bench.context, "lab", name)
        with pytest.raises(NotFound):
            await watch.unwatch(bench.context, "lab", name)


@pytest.mark.parametrize("between", [[], ["a"], ["x"], ["ax"], ["xa"], ["cx", "c"]], ids=str)
@pytest.mark.parametrize("again", ["a", "x"])
async def test_a_job_that_is_watched_again_after_a_deletion_has_new_event_ids(
    bench: Any, between: list[str], again: str
):
    await accept(bench, "ax", "running")
    await accept(bench, "ax")
    await bench.ingest()
    old = await bench.events()
    await watch.unwatch(bench.context, "lab", "a")
    for names in between:
        await accept(bench, names)
    assert await bench.jobs() == []
    await bench.watch(again)
    await accept(bench, "ax", "running")
    await accept(bench, "ax")
    before = await snapshot(bench)
    for _ in range(2):
        await lose(bench, before)
        await bench.ingest()
        new = (await bench.events())[len(old) :]
        assert [kind for _, kind in new if kind == "job.succeeded"] == ["job.succeeded"]
        assert not {event for event, _ in new} & {event for event, _ in old}
    assert len({event for event, kind in new if kind == "job.succeeded"}) == 1


async def test_a_push_after_a_tombstone_has_expired_makes_a_job_with_new_event_ids(bench: Any):
    redis, ids = bench.store.connection.redis, []
    for names in ("ax", "x"):
        await accept(bench, names)
        before = await snapshot(bench)
        for _ in range(2):
            await lose(bench, before)
            await bench.ingest()
            ids.append({e for e, kind in await bench.events() if kind == "job.succeeded"})
        await watch.unwatch(bench.context, "lab", names[-1])
        await accept(bench, names)
        await bench.ingest()
        left = [key async for key in redis.scan_iter("*}:job:*")]
        assert {await redis.pttl(key) <= Retention().seen * 1000 for key in left} == {True}
        await redis.delete(*left)  # as if that time had passed
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert len(ids[2] - ids[0]) == 1


async def test_the_mirror_uses_the_uid_that_a_waiting_push_reserved(bench: Any, provider: Any):
    await accept(bench, "ax")
    before = await snapshot(bench)
    provider.says("x", status="running")
    source = bench.context.settings.sources["lab"]
    mirrored = mirror.Mirror(bench.context, Tailer(bench.store))
    response = await mirrored.read(source, "x", mirror.Reader(has_key=True))
    assert response.answer.status == 200
    await bench.ingest()
    ids = await completions(bench)
    await lose(bench, before)
    await bench.ingest()
    assert await completions(bench) == ids
    assert len(ids) == 1


async def test_a_name_that_is_reserved_after_it_was_read_gets_the_reserved_uid(bench: Any):
    """A change that was decided before the reservation is refused."""
    read, keys = bench.store.jobs.read, bench.store.shard("lab", "a")
    reserved: list[str] = []

    async def read_and_wait(where: Any, names: Any) -> Any:
        rows = await read(where, names)
        if not reserved:
            reserved.append("")
            await accept(bench, "a")
            reserved[0] = (await read(keys, ["lab/a"]))[0].uid
        return rows

    bench.store.jobs.read = read_and_wait
    found, new = await bench.watch("a")
    assert (new, [found.job.uid]) == (True, reserved)


async def test_a_circle_of_aliases_is_one_job(bench: Any):
    """Several pushes at the same time can make such a circle."""
    redis = bench.store.connection.redis
    for name, to in ("ab", "bc", "ca"):
        await redis.set(bench.store.shard("lab", name).job(f"lab/{name}"), f"to {to}", px=60_000)
    for name in "abc":
        await accept(bench, name)
    await bench.ingest()
    assert await bench.jobs() == ["lab/a"]
    assert {(await bench.job(name)).id for name in "abc"} == {"a"}


async def test_a_push_that_an_older_version_accepted_makes_a_job_too(bench: Any):
    await accept(bench, "ax")
    redis = bench.store.connection.redis
    await redis.delete(*[key async for key in redis.scan_iter("*}:job:*")])
    await bench.ingest()
    job = await bench.job("x")
    assert (job.id, job.completion) == ("a", f"evt_{job.uid}_1_final")


async def test_a_reservation_lasts_as_long_as_pushes_may_wait(bench: Any):
    await accept(bench, "ax")
    redis = bench.store.connection.redis
    keys = [bench.store.shard("lab", name).job(f"lab/{name}") for name in "ax"]
    assert (await redis.get(keys[0])).startswith(b"new-")
    assert await redis.get(keys[1]) == b"to a"
    for key in keys:
        assert 0 <= Retention().jobs * 1000 - await redis.pttl(key) < 60_000


async def test_the_first_of_two_pushes_in_one_batch_makes_the_uid(bench: Any):
    """In each process alike, so that a repetition of both makes the same."""
    await bench.accept(
        id="other", status="running"
    )  # now everything is read that is kept in memory
    await asyncio.gather(
        bench.accept(id="b", alias="y", status="running", event="1"),
        bench.accept(id="b", alias="y", status="succeeded", event="2"),
    )
    await bench.ingest()
    first = uid_of_push("lab", "b", _digest(b"1"), Retention())
    assert (await bench.job("b")).uid == first


@pytest.mark.parametrize("seen", [3600.0, 7 * 86_400.0])
def test_the_same_bytes_make_another_uid_once_they_are_no_duplicate(
    seen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, uids = Retention(seen=seen), []
    for at in (0.0, seen, 2 * seen):
        monkeypatch.setattr("time.time", lambda at=at: 1.8e9 + at)
        uids.append(uid_of_push("lab", "1", "push", keep))
    assert len(set(uids)) == 3
    assert uid_of_push("lab", "1", "push", keep) == uids[-1]


@pytest.mark.parametrize("event", [{}, {"event": "e"}], ids=["same bytes", "same event id"])
async def test_a_job_that_is_watched_again_takes_each_push_once_more(
    bench: Any, event: dict[str, str]
):
    ended = {"id": "a", "status": "succeeded", **event}
    for life in (1, 2):
        await bench.watch("a")
        assert [(await bench.push(**ended)).accepted for _ in range(3)] == [1, 0, 0]
        assert (await bench.job("a")).state is State.SUCCEEDED
        assert len({e for e, kind in await bench.events() if kind == "job.succeeded"}) == life
        await watch.unwatch(bench.context, "lab", "a")
        assert (await bench.push(**ended)).duplicates == 1
        assert await bench.jobs() == []


async def test_a_push_that_came_while_its_job_was_deleted_may_be_sent_again_when_it_is_watched(
    bench: Any,
):
    await bench.watch("a")
    await watch.unwatch(bench.context, "lab", "a")
    assert (await bench.push(id="a", status="succeeded")).accepted == 1  # and ignored
    await bench.watch("a")
    assert (await bench.push(id="a", status="succeeded")).accepted == 1
    assert (await bench.job("a")).state is State.SUCCEEDED


async def test_a_push_is_a_duplicate_though_its_job_is_kept_no_longer(bench: Any):
    redis = bench.store.connection.redis
    await bench.push(id="a", status="running", event="1")
    await bench.push(id="a", status="succeeded", event="2")
    await redis.delete(bench.store.shard("lab", "a").job("lab/a"))  # as if its time had passed
    for _ in range(2):
        assert (await bench.push(id="a", status="succeeded", event="2")).duplicates == 1
    assert [kind for _, kind in await bench.events()] == ["job.started", "job.succeeded"]


async def test_a_mark_of_an_earlier_version_stands_for_every_record(bench: Any):
    redis = bench.store.connection.redis
    await bench.push(id="a", status="succeeded")
    [mark] = [key async for key in redis.scan_iter("*}:seen:*")]
    await redis.set(mark, "1", keepttl=True)
    await watch.unwatch(bench.context, "lab", "a")
    await bench.watch("a")
    assert (await bench.push(id="a", status="succeeded")).duplicates == 1


async def test_a_push_is_a_duplicate_though_the_uid_of_its_job_does_not_show(bench: Any):
    """The record begins with the id, which is longer than what is read of it once it is escaped."""
    job = '"' * 512
    await bench.push(id=job, status="running", event="1")
    await bench.push(id=job, status="running", event="2")
    assert (await bench.push(id=job, status="running", event="1")).duplicates == 1
