"""A push with names in several shards, and what others do with its names between its steps."""

import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from processor.errors import StoreUnavailable
from processor.model import Origin, Retention, State, StatusUpdate
from processor.service.jobs import query
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.store.held import Acceptance
from processor.store.keys import shard_of
from processor.store.names import uid_of_push

from .test_identity import completions, lose, snapshot

SHARDS = 4
STEPS = 4  # of a push whose names are in three shards; where there are fewer, nothing happens
A, B, C = (next(n for n in "abcdefghijk" if shard_of("lab", n, SHARDS) == s) for s in range(3))
A2 = next(f"{A}{n}" for n in itertools.count() if shard_of("lab", f"{A}{n}", SHARDS) == 0)
NAMES = [(A, B), (B, A), (A, B, C), (C, A, B), (A, A2, B), (B, A, A2)]  # of one job, its id first

Act = Callable[[], Awaitable[Any]]


@pytest.fixture
async def bench(bench_of: Any) -> Any:
    """One receiver; it also has a worker."""
    return await bench_of(shards=SHARDS, lease=0.001)


@pytest.fixture
async def second(bench_of: Any) -> Any:
    """Another one."""
    return await bench_of(shards=SHARDS, lease=0.001)


def before_step(bench: Any, step: int, act: Act) -> None:
    """Do something before a step of the next push: a script that reserves names, or the one after."""
    connection, steps = bench.store.names._connection, itertools.count()
    run = type(connection).run

    async def act_and_run(name: str, *args: Any, **options: Any) -> Any:
        if name in {"reserve_names", "accept"} and next(steps) == step:
            await act()
        return await run(connection, name, *args, **options)

    connection.run = act_and_run


def update_of(names: tuple[str, ...]) -> StatusUpdate:
    """The end of a job, its id first."""
    state = State.SUCCEEDED
    return StatusUpdate("lab", names[0], state.value, state, 1.0, Origin.PUSH, aliases=names[1:])


async def accept(bench: Any, names: tuple[str, ...], push: str) -> None:
    """Accept a push about the end of a job, with its id first."""
    queued = QueuedUpdate(bench.store.shard("lab", names[0]), push, update_of(names))
    assert await enqueue(bench.context, [queued]) == [Acceptance.ACCEPTED]


async def check_one_job(bench: Any, names: tuple[str, ...]) -> None:
    """All is one job that has ended once, also after Redis has lost the commits."""
    before, found = await snapshot(bench), await completions(bench)
    for lost in False, True:
        if lost:
            await lose(bench, before)
        await bench.ingest()
        found |= await completions(bench)
        jobs = [await bench.job(name) for name in names]
        assert len(await bench.jobs()) == len({job.id for job in jobs}) == 1
        assert jobs[0].state is State.SUCCEEDED
        assert set(jobs[0].aliases) == set(names) - {jobs[0].id}
        lines = await query.history(bench.context, "lab", jobs[0].id)
        assert not [line for line in lines if "alias_conflict" in line.get("flags", [])]
    assert len(found) == 1


def pushed_alone(second: Any, name: str, *, ingested: bool) -> Act:
    """What pushes one name to the other process, which may ingest it at once."""

    async def push() -> None:
        await accept(second, (name,), "2")
        if ingested:
            await second.ingest()

    return push


@pytest.mark.parametrize("ingested", [False, True], ids=["waits", "ingested"])
@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("names", NAMES, ids="".join)
async def test_a_push_that_uses_one_name_is_about_the_same_job(
    bench: Any, second: Any, names: tuple[str, ...], step: int, *, ingested: bool
):
    start = await snapshot(bench)
    for name in names:
        await lose(bench, start)
        before_step(bench, step, pushed_alone(second, name, ingested=ingested))
        await accept(bench, names, "1")
        await check_one_job(bench, names)


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("names", NAMES, ids="".join)
async def test_a_put_that_uses_one_name_is_about_the_same_job(
    bench: Any, second: Any, names: tuple[str, ...], step: int
):
    start = await snapshot(bench)
    for name in names:
        await lose(bench, start)

        async def put(name: str = name) -> None:
            await second.watch(name, metadata={"put": True})

        before_step(bench, step, put)
        await accept(bench, names, "1")
        await check_one_job(bench, names)


@pytest.mark.parametrize("ingested", [False, True], ids=["waits", "ingested"])
@pytest.mark.parametrize("step", range(STEPS - 1))
@pytest.mark.parametrize("names", NAMES, ids="".join)
async def test_a_push_that_uses_one_name_of_a_put_is_about_the_same_job(
    bench: Any, second: Any, names: tuple[str, ...], step: int, *, ingested: bool
):
    start = await snapshot(bench)
    for name in names:
        await lose(bench, start)
        before_step(bench, step, pushed_alone(second, name, ingested=ingested))
        await bench.watch(names[0], aliases=list(names[1:]))
        await accept(bench, names, "1")
        await check_one_job(bench, names)


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("names", NAMES, ids="".join)
async def test_a_push_that_gives_the_names_in_another_order_is_about_the_same_job(
    bench: Any, second: Any, names: tuple[str, ...], step: int
):
    start = await snapshot(bench)
    for others in names[::-1], (*names[1:], names[0]):
        await lose(bench, start)
        before_step(bench, step, lambda others=others: accept(second, others, "2"))
        await accept(bench, names, "1")
        await check_one_job(bench, names)


@pytest.mark.parametrize("step", range(1, STEPS))
@pytest.mark.parametrize("names", NAMES, ids="".join)
async def test_a_push_that_is_repeated_after_it_was_cut_off_decides_the_same(
    bench: Any, second: Any, names: tuple[str, ...], step: int
):
    """One of the names is used before the repetition, or while it is under way."""

    async def cut() -> None:
        raise StoreUnavailable("cut off")

    start = await snapshot(bench)
    for name, again in itertools.product(names, (0, 1)):
        await lose(bench, start)
        before_step(bench, step, cut)
        with suppress(StoreUnavailable):  # a push of few steps is done
            await accept(bench, names, "1")
            continue
        before_step(bench, again, lambda name=name: accept(second, (name,), "2"))
        await accept(bench, names, "1")
        await check_one_job(bench, names)


@pytest.mark.parametrize("names", [(A, B), (B, A)], ids="".join)
async def test_the_first_of_two_pushes_in_one_batch_gives_the_id(
    bench: Any, names: tuple[str, str]
):
    updates = [update_of(names), update_of(names[::-1])]
    queued = [QueuedUpdate(bench.store.shard("lab", u.id), f"p{u.id}", u) for u in updates]
    assert await enqueue(bench.context, queued) == [Acceptance.ACCEPTED] * 2
    await check_one_job(bench, names)
    job = await bench.job(names[0])
    uid = uid_of_push("lab", names[0], f"p{names[0]}", Retention())
    assert (job.id, job.uid) == (names[0], uid)


@pytest.mark.parametrize("names", list(itertools.permutations((A, B, C))), ids="".join)
async def test_pushes_that_name_each_other_in_a_circle_make_one_job(
    bench_of: Any, names: tuple[str, ...]
):
    """Each of three receivers is interrupted by the next before it reserves its id."""
    first, second, third = [await bench_of(shards=SHARDS, lease=0.001) for _ in range(3)]
    a, b, c = names
    before_step(second, 1, lambda: accept(third, (c, a), "3"))
    before_step(first, 1, lambda: accept(second, (b, c), "2"))
    await accept(first, (a, b), "1")
    await check_one_job(first, names)


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("names", [(A, B), (B, A)], ids="".join)
@pytest.mark.parametrize("other", ["id", "alias", "both"])
async def test_held_pushes_with_the_same_names_are_about_one_job(
    bench: Any, second: Any, names: tuple[str, ...], step: int, other: str
):
    others = {"id": names[:1], "alias": names[1:], "both": names[::-1]}[other]

    def body(names: tuple[str, ...]) -> dict[str, str]:
        return {"id": names[0], "status": "succeeded"} | dict(
            zip(["alias"], names[1:], strict=False)
        )

    before_step(bench, step, lambda: second.push("registered", event="2", **body(others)))
    receipt = await bench.push("registered", event="1", **body(names))
    assert receipt.counts == (0, 0, 0, 0, 1)
    assert await bench.jobs() == []
    await bench.watch(names[1], "registered")
    await bench.ingest()
    assert len(await bench.jobs()) == 1
    assert {(await bench.job(name, "registered")).state for name in names} == {State.SUCCEEDED}
