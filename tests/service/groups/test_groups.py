"""The rules of groups, each once, with one shard and with four."""

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from processor import group_payload
from processor.errors import Conflict, InvalidValue, NotFound
from processor.event_types import GROUP_COMPLETED
from processor.group import MAX_MEMBERS, Group, GroupState, Member, Policy, event_id
from processor.model import State
from processor.service.events.tail import Tailer
from processor.service.groups import close, create, member_ends, members, query, step, wait
from processor.service.groups.apply_together import ApplyTogether
from processor.service.jobs import ingest, query as jobs_query, watch
from processor.service.jobs.watch_request import PollSettings, WatchRequest
from processor.store.work_items import Settlement

ENDINGS = [
    (["succeeded", "succeeded"], "succeeded"),
    (["succeeded", "failed"], "partial"),
    (["failed", "failed"], "failed"),
]


@pytest.fixture(params=[1, 4])
async def bench(bench_of: Any, request: Any) -> Any:
    return await bench_of(shards=request.param)


async def group_now(bench: Any) -> Group:
    return await query.find(bench.context, "g")


async def completions(bench: Any) -> list[str]:
    await bench.ingest()
    return [i for i, kind in await bench.events() if kind == GROUP_COMPLETED]


async def body_of_completion(bench: Any) -> Any:
    found = await bench.store.events.page(bench.store.events.start(), 1000)
    (event,) = [e for e in found if e.type == GROUP_COMPLETED]
    return json.loads(event.body)


async def finish(bench: Any, *jobs: str, status: str = "succeeded") -> None:
    for job in jobs:
        await bench.push(id=job, status=status)


@pytest.mark.parametrize(("ends", "state"), ENDINGS)
async def test_a_group_ends_once_its_last_member_has(bench: Any, ends: list[str], state: str):
    group, new = await bench.group("lab/1", "lab/2")
    assert new
    await finish(bench, "1", status=ends[0])
    assert await completions(bench) == []
    await finish(bench, "2", status=ends[1])
    assert await completions(bench) == [event_id(group)]
    assert (await group_now(bench)).state == state
    data = (await body_of_completion(bench))["data"]
    assert (data["id"], data["state"], data["counts"]["total"]) == ("g", state, 2)
    assert f'["ringback_groups_total",{{"state":"{state}"}},1.0]' in bench.context.metrics.dump()
    assert data["jobs"] == [
        {"source": "lab", "id": "1", "state": ends[0]},
        {"source": "lab", "id": "2", "state": ends[1]},
    ]


async def test_creating_a_group_again_changes_nothing(bench: Any):
    first, _ = await bench.group("lab/1", metadata={"a": 1})
    assert await bench.group("lab/1", metadata={"a": 1}) == (first, False)


@pytest.mark.parametrize(
    "other",
    [
        {"jobs": ["lab/2"]},
        {"policy": "fail_fast"},
        {"open": True},
        {"metadata": {"a": 1}},
        {"callback_url": "https://one.example/"},
    ],
)
async def test_another_group_under_the_same_id_is_a_conflict(bench: Any, other: Any):
    await bench.group("lab/1")
    with pytest.raises(Conflict):
        await bench.group(**{"jobs": ["lab/1"]} | other)


@pytest.mark.parametrize(
    ("jobs", "place"),
    [
        (["lab/1", "nowhere/2"], "jobs[1]"),
        (["lab/1", "lab"], "jobs[1]"),
        (["lab/1", "lab/2", {"source": "lab", "id": "3", "deadline": "soon"}], "jobs[2]"),
        (["lab/1", {"source": "lab", "id": ".."}], "jobs[1]"),
    ],
)
async def test_one_bad_member_and_nothing_is_watched(bench: Any, jobs: list[Any], place: str):
    with pytest.raises(InvalidValue, match=place.replace("[", r"\[")):
        await bench.group(*jobs)
    assert await bench.jobs() == []
    with pytest.raises(NotFound):
        await group_now(bench)


async def test_an_empty_group_must_be_open(bench: Any):
    with pytest.raises(InvalidValue, match="open"):
        await bench.group()


async def test_an_empty_group_that_is_closed_has_succeeded(bench: Any):
    await bench.group(open=True)
    assert (await close.close(bench.context, "g")).state is GroupState.SUCCEEDED
    assert len(await completions(bench)) == 1


async def test_too_many_members_are_refused(bench: Any):
    with pytest.raises(InvalidValue, match="10000"):
        await bench.group(*(f"lab/{n}" for n in range(MAX_MEMBERS + 1)))


async def test_a_member_may_have_finished_before(bench: Any):
    await finish(bench, "1")
    await bench.group("lab/1")
    assert len(await completions(bench)) == 1


async def test_fail_fast_ends_at_the_first_failure(bench: Any):
    await bench.group("lab/1", "lab/2", policy="fail_fast")
    await finish(bench, "1", status="failed")
    assert len(await completions(bench)) == 1
    group = await group_now(bench)
    assert (group.state, group.pending) == (GroupState.FAILED, 1)
    await finish(bench, "2")
    assert len(await completions(bench)) == 1
    assert await group_now(bench) == group


async def test_fail_fast_succeeds_like_any_other(bench: Any):
    await bench.group("lab/1", "lab/2", policy="fail_fast")
    await finish(bench, "1", "2")
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_an_open_group_ends_only_once_it_is_closed(bench: Any):
    await bench.group("lab/1", open=True)
    await finish(bench, "1")
    assert await completions(bench) == []
    await members.add(bench.context, "g", ("lab", "2"), WatchRequest(), None)
    await close.close(bench.context, "g")
    assert await completions(bench) == []
    await finish(bench, "2")
    assert len(await completions(bench)) == 1


async def test_adding_and_closing_again_change_nothing(bench: Any):
    await bench.group(open=True)
    for _ in range(2):
        await members.add(bench.context, "g", ("lab", "1"), WatchRequest(), None)
    assert (await group_now(bench)).total == 1
    for _ in range(2):
        await close.close(bench.context, "g")
    await members.add(bench.context, "g", ("lab", "1"), WatchRequest(), None)
    with pytest.raises(Conflict, match="closed"):
        await members.add(bench.context, "g", ("lab", "2"), WatchRequest(), None)
    await finish(bench, "1")
    with pytest.raises(Conflict, match="finished"):
        await members.add(bench.context, "g", ("lab", "2"), WatchRequest(), None)


async def test_a_member_that_runs_again_is_pending_again(bench: Any):
    await bench.group("lab/1", "lab/2")
    await bench.push(id="1", status="failed", attempt=1)
    await bench.push(id="1", status="running", attempt=2)
    await finish(bench, "2")
    assert await completions(bench) == []
    assert (await group_now(bench)).pending == 1
    await bench.push(id="1", status="succeeded", attempt=2)
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_nothing_moves_once_the_group_has_ended(bench: Any):
    await bench.group("lab/1")
    await bench.push(id="1", status="failed", attempt=1)
    ended = await group_now(bench)
    await bench.push(id="1", status="succeeded", attempt=2)
    assert await group_now(bench) == ended
    assert len(await completions(bench)) == 1


async def test_a_deleted_member_counts_as_canceled(bench: Any):
    await bench.group("lab/1", "lab/2")
    await finish(bench, "2")
    await watch.unwatch(bench.context, "lab", "1")
    assert len(await completions(bench)) == 1
    group = await group_now(bench)
    assert (group.state, group.ended[State.CANCELED]) == (GroupState.PARTIAL, 1)


async def test_a_deadline_ends_a_group(bench: Any):
    await bench.group("lab/1", deadline="1ms")
    await make_deadline_due(bench)
    assert len(await completions(bench)) == 1
    assert (await group_now(bench)).state is GroupState.EXPIRED


async def test_by_default_the_deadline_is_the_latest_of_the_members(bench: Any):
    group, _ = await bench.group(
        {"source": "lab", "id": "1", "deadline": "1h"},
        {"source": "lab", "id": "2", "deadline": "3h"},
    )
    assert group.deadline_at == pytest.approx(group.created_at + 3 * 3600, abs=1)
    assert not group.own_deadline


async def test_a_member_that_runs_again_keeps_its_deadline(bench: Any):
    await bench.watch("1", deadline="1h")
    await bench.push(id="1", status="failed", attempt=1)
    await bench.push(id="1", status="running", attempt=2)
    before = await bench.job("1")
    await bench.group({"source": "lab", "id": "1", "deadline": "1h"})
    assert (await bench.job("1")).deadline_at == before.deadline_at


async def test_a_deadline_reads_the_jobs_once_more(bench: Any):
    """The entries that told the group were lost, as a part of a cluster may lose its last second."""
    await bench.group("lab/1", deadline="1ms")
    await bench.accept(id="1", status="succeeded")
    await lose_entries(bench)
    assert (await group_now(bench)).pending == 1
    await member_ends.end_at_deadline(bench.context, "g")
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def lose_entries(bench: Any, member: str = "lab/1") -> None:
    """Ingest what was pushed, and drop what the jobs tell their groups."""
    for keys in bench.store.shards:
        claims = await bench.claim(keys, "ingest")
        await ingest.ingest(bench.context, [c for c in claims if c.lane == "lab"])
        lost = [c for c in await bench.claim(keys, "ingest") if member in c.item]
        await bench.store.backlogs.settle([Settlement(c) for c in lost])


async def make_deadline_due(bench: Any) -> None:
    keys = bench.store.groups.shard("g")
    redis, now = bench.store.connection.redis, int(await bench.store.now() * 1000) - 1000
    await redis.zadd(keys.due("ingest", "?groups"), {"deadline:?groups/g": now}, xx=True)
    await redis.zadd(keys.lanes["ingest"], {"?groups": now}, lt=True)


async def test_a_creation_that_was_cut_is_finished_by_its_repetition(bench: Any, monkeypatch: Any):
    real = watch.register

    async def cut(context: Any, request: Any) -> bool:
        if request.id == "2":
            raise ConnectionError
        return await real(context, request)

    monkeypatch.setattr(watch, "register", cut)
    with pytest.raises(ConnectionError):
        await bench.group("lab/1", "lab/2")
    monkeypatch.undo()
    await finish(bench, "1", "2")
    assert await completions(bench) == []  # never before all its members are in
    _, new = await bench.group("lab/1", "lab/2")
    assert not new
    await bench.ingest()
    assert (await group_now(bench)).state is GroupState.SUCCEEDED
    assert len(await completions(bench)) == 1


async def test_a_long_list_is_written_in_pieces_that_a_repetition_completes(
    bench: Any, monkeypatch: Any
):
    monkeypatch.setattr(create, "PIECE", 3)
    monkeypatch.setattr(members, "PIECE", 3)
    jobs, real = [f"lab/{n}" for n in range(10)], step.change
    calls = 0

    async def cut(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionError
        return await real(*args)

    monkeypatch.setattr(create, "change", cut)
    with pytest.raises(ConnectionError):
        await bench.group(*jobs, open=True)
    assert len(await bench.store.groups.members("g")) == 6
    with pytest.raises(Conflict, match="again"):
        await members.add(bench.context, "g", ("lab", "9"), WatchRequest(), None)
    await bench.group(*jobs, open=True)
    assert list(await bench.store.groups.members("g")) == jobs
    await members.add(bench.context, "g", ("lab", "9"), WatchRequest(), None)
    await close.close(bench.context, "g")
    await finish(bench, *map(str, range(10)))
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_a_deleted_group_sends_nothing_and_leaves_its_jobs(bench: Any):
    await bench.group("lab/1")
    await close.delete(bench.context, "g")
    await finish(bench, "1")
    assert await completions(bench) == []
    assert await bench.jobs() == ["lab/1"]
    with pytest.raises(NotFound):
        await close.delete(bench.context, "g")


async def test_a_group_may_be_created_again_under_the_id_of_a_deleted_one(bench: Any):
    first, _ = await bench.group("lab/1")
    await finish(bench, "1")
    await close.delete(bench.context, "g")
    again, new = await bench.group("lab/1")
    assert new
    assert sorted(await completions(bench)) == sorted([event_id(first), event_id(again)])
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_an_end_meant_for_a_deleted_group_is_not_one_of_its_successor(bench: Any):
    await bench.group("lab/1", "lab/2")
    await watch.unwatch(bench.context, "lab", "1")  # the entry waits
    await close.delete(bench.context, "g")
    await bench.group("lab/1", "lab/2")
    await bench.ingest()
    assert (await group_now(bench)).pending == 2


async def test_a_group_that_has_ended_is_not_closed_any_more(bench: Any):
    await bench.group("lab/1", open=True, deadline="1ms")
    await make_deadline_due(bench)
    assert len(await completions(bench)) == 1
    ended = await group_now(bench)
    assert await close.close(bench.context, "g") == ended
    assert await bench.group("lab/1", open=True, deadline="1ms") == (ended, False)
    assert len(await completions(bench)) == 1


async def test_a_deadline_that_is_not_over_waits_on(bench: Any):
    """Redis' clock may be set back between the claim and the check."""
    group, _ = await bench.group("lab/1", deadline="1h")
    await make_deadline_due(bench)
    assert await completions(bench) == []
    waiting = bench.store.groups.shard("g").due("ingest", "?groups")
    due = await bench.store.connection.redis.zscore(waiting, "deadline:?groups/g")
    assert due == pytest.approx(group.deadline_at * 1000, abs=10)


async def test_an_empty_group_waits_for_members(bench: Any):
    group, _ = await bench.group(open=True)
    assert group.deadline_at == pytest.approx(group.created_at + 72 * 3600)


async def test_a_broken_entry_does_not_hold_up_the_others(bench: Any):
    await bench.group("lab/1")
    await bench.accept(id="1", status="succeeded")
    for keys in bench.store.shards:
        await ingest.ingest(bench.context, await bench.claim(keys, "ingest"))
        claims = await bench.claim(keys, "ingest")
        broken = [replace(c, item=f"{c.item}x", payload=b"{") for c in claims]
        await ApplyTogether(bench.context, interval=0.0).add([*broken, *claims])
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_a_job_is_a_member_of_at_most_32_running_groups(bench: Any):
    for n in range(32):
        await bench.group("lab/1", id=f"g{n}")
    with pytest.raises(InvalidValue, match=r"jobs\[0\]: a job is a member of at most 32 running"):
        await bench.group("lab/1")
    assert not (await bench.group("lab/1", id="g0"))[1]
    await close.delete(bench.context, "g0")
    await bench.group("lab/1", id="after a deletion")
    await finish(bench, "1")
    await bench.ingest()
    await bench.group("lab/1", id="after an end")
    await bench.ingest()
    assert (await query.find(bench.context, "after an end")).state is GroupState.SUCCEEDED
    assert (await query.find(bench.context, "g1")).state is GroupState.SUCCEEDED


async def test_the_order_of_metadata_makes_no_other_group(bench: Any):
    await bench.group("lab/1", metadata={"a": 1, "b": 2})
    assert not (await bench.group("lab/1", metadata={"b": 2, "a": 1}))[1]


@pytest.mark.parametrize("ends", [["1"], ["1", "2"]])
async def test_an_end_before_a_waiter_listens_is_not_missed(
    bench: Any, ends: list[str], monkeypatch: Any
):
    """Jobs end between the first read and the moment from which the log is followed."""
    tailer, real = Tailer(bench.store), Tailer.follow
    await bench.watch("1")
    await bench.watch("2")

    async def late(self: Tailer) -> None:
        monkeypatch.undo()
        await finish(bench, *ends)
        await real(self)

    monkeypatch.setattr(Tailer, "follow", late)
    jobs = [("lab", "1"), ("lab", "2")]
    waiting = asyncio.create_task(
        wait.wait(bench.context, tailer, jobs, [], first=False, seconds=30)
    )
    if ends == ["1"]:
        await asyncio.sleep(0)
        await finish(bench, "2")
    assert (await waiting).done(first=False)
    assert not tailer._waiters
    await tailer.close()


async def test_members_are_watched_as_in_a_put(bench: Any):
    await bench.group({"source": "lab", "id": "1", "metadata": {"a": 1}, "poll": {"every": "5s"}})
    job = await bench.job("1")
    assert (job.metadata, job.polling.every) == ({"a": 1}, 5)
    await bench.watch("2", poll=PollSettings("1h"))
    await bench.group("lab/2", id="h")
    assert (await bench.job("2")).polling.every == 3600


ONE = {"source": "lab", "id": "1", "aliases": ["a"]}


@pytest.mark.parametrize("jobs", [["lab/1", "lab/a"], ["lab/a", "lab/1"], ["lab/a"]])
async def test_a_job_and_its_alias_are_one_member(bench: Any, jobs: list[str]):
    await bench.watch("1", aliases=["a"])
    assert (await bench.group(*jobs))[0].total == 1
    assert list(await bench.store.groups.members("g")) == jobs[:1]
    assert not (await bench.group(*jobs))[1]
    await finish(bench, "1")
    assert len(await completions(bench)) == 1


@pytest.mark.parametrize("jobs", [[ONE, "lab/a", "lab/2"], ["lab/a", "lab/2", ONE]])
async def test_a_list_may_say_that_two_of_its_names_are_one_job(bench: Any, jobs: list[Any]):
    group, _ = await bench.group(*jobs)
    assert (group.total, (await bench.job("a")).id) == (2, "1")
    await finish(bench, "2", "a")
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_an_alias_of_a_member_is_no_new_member(bench: Any):
    await bench.watch("1", aliases=["a"])
    await bench.group("lab/1", open=True)
    for name in ("a", "1"):
        group = await members.add(bench.context, "g", ("lab", name), WatchRequest(), None)
        assert group.total == 1
    assert list(await bench.store.groups.members("g")) == ["lab/1"]


async def test_a_creation_that_was_cut_keeps_the_members_that_it_wrote(
    bench: Any, monkeypatch: Any
):
    """Two names were not known to be one job: both are members, and both end with it."""

    async def cut(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(create, "_watch_all", cut)
        with pytest.raises(ConnectionError):
            await bench.group("lab/1", "lab/a")
    await bench.watch("1", aliases=["a"])
    group, _ = await bench.group("lab/1", "lab/a")
    assert group.total == 2
    await finish(bench, "1")
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_waits_for_groups_and_jobs(bench: Any):
    tailer = Tailer(bench.store)
    await bench.group("lab/1", "lab/2")
    await bench.watch("3")
    jobs = [("lab", "1"), ("lab", "3")]
    both = asyncio.create_task(
        wait.wait(bench.context, tailer, jobs, ["g"], first=False, seconds=30)
    )
    first = asyncio.create_task(
        wait.wait(bench.context, tailer, jobs, ["g"], first=True, seconds=30)
    )
    await finish(bench, "3")
    assert (await first).jobs[1].job.state is State.SUCCEEDED
    assert not both.done()
    await finish(bench, "1", "2")
    found = await both
    assert found.done(first=False)
    assert found.groups[0].state is GroupState.SUCCEEDED
    await tailer.close()


def test_a_long_event_has_a_member_of_each_source_first():
    rows = {f"a/{n}": Member(n) for n in range(1500)} | {"b/1": Member(1500)}
    group = Group("g", "u", "", Policy.ALL, 0.0, 1.0, own_deadline=True, total=1501)
    data = json.loads(group_payload.event_body(group, rows))["data"]
    assert data["jobs_truncated"]
    assert len(data["jobs"]) == 1000
    assert {job["source"] for job in data["jobs"]} == {"a", "b"}


async def test_a_deleted_member_that_is_watched_again_is_pending_again(bench: Any):
    await bench.group("lab/1", "lab/2")
    await watch.unwatch(bench.context, "lab", "1")
    await bench.ingest()
    assert (await group_now(bench)).pending == 1
    group = await members.add(bench.context, "g", ("lab", "1"), WatchRequest(), None)
    assert group.pending == 2
    await finish(bench, "1", "2")
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_after_trouble_the_jobs_of_running_groups_are_read_again(bench: Any):
    await bench.group("lab/1")
    await bench.group("lab/2", id="h")
    await bench.accept(id="1", status="succeeded")
    await lose_entries(bench)
    assert (await group_now(bench)).pending == 1
    await member_ends.recheck_all(bench.context)
    assert (await group_now(bench)).state is GroupState.SUCCEEDED
    assert (await query.find(bench.context, "h")).pending == 1


async def test_a_job_that_is_no_member_does_not_speak_for_the_deleted_one(bench: Any):
    """The deleted job's entry still waits when the jobs are read again."""
    await bench.group("lab/1", "lab/2", open=True)
    await watch.unwatch(bench.context, "lab", "1")
    await bench.watch("1", deadline="100h")
    group = await group_now(bench)
    assert await member_ends.recheck(bench.context, group) < group.created_at + 90 * 3600
    assert (await group_now(bench)).pending == 2
    await close.close(bench.context, "g")
    await finish(bench, "1", "2")
    assert len(await completions(bench)) == 1
    group = await group_now(bench)
    assert (group.state, group.ended[State.CANCELED]) == (GroupState.PARTIAL, 1)


@pytest.mark.parametrize("watched_again", [False, True])
@pytest.mark.parametrize("known", [False, True])
async def test_a_deletion_that_redis_lost_is_found_when_the_jobs_are_read_again(
    bench: Any, *, watched_again: bool, known: bool
):
    await bench.group("lab/1", "lab/2")
    if known:
        await member_ends.recheck_all(bench.context)
    await watch.unwatch(bench.context, "lab", "1")
    await lose_entries(bench)
    if watched_again:
        await bench.watch("1")
    await member_ends.recheck_all(bench.context)
    group = await group_now(bench)
    assert (group.pending, group.ended) == (1, {State.CANCELED: 1})
    group = await members.add(bench.context, "g", ("lab", "1"), WatchRequest(), None)
    assert group.pending == 2
    await finish(bench, "1", "2")
    assert (await group_now(bench)).state is GroupState.SUCCEEDED


async def test_a_member_that_is_not_watched_yet_is_not_canceled(bench: Any, monkeypatch: Any):
    real = watch.register

    async def reread(context: Any, request: Any) -> bool:
        await member_ends.recheck_all(context)
        return await real(context, request)

    monkeypatch.setattr(watch, "register", reread)
    await bench.group("lab/1", "lab/2")
    assert (await group_now(bench)).pending == 2
    await bench.group(id="h", open=True)
    await members.add(bench.context, "h", ("lab", "3"), WatchRequest(), None)
    assert (await query.find(bench.context, "h")).pending == 1


async def test_a_member_named_by_an_alias_is_read_again(bench: Any):
    await bench.watch("1", aliases=["a"])
    await bench.group("lab/a", "lab/2")
    await member_ends.recheck_all(bench.context)
    assert (await group_now(bench)).pending == 2
    await bench.accept(id="1", status="succeeded")
    await lose_entries(bench, "lab/a")
    await member_ends.recheck_all(bench.context)
    assert (await group_now(bench)).ended == {State.SUCCEEDED: 1}
    await watch.unwatch(bench.context, "lab", "2")
    await lose_entries(bench, "lab/2")
    await member_ends.recheck_all(bench.context)
    assert (await group_now(bench)).state is GroupState.PARTIAL


async def test_the_members_of_a_large_group_are_read_again_piece_by_piece(
    bench: Any, monkeypatch: Any
):
    monkeypatch.setattr(member_ends, "PIECE", 2)
    group, _ = await bench.group(*(f"lab/{n}" for n in range(5)))
    for n in range(5):
        await bench.accept(id=str(n), status="succeeded")
    await lose_entries(bench)
    assert (await group_now(bench)).pending > 0
    await member_ends.recheck(bench.context, group)
    assert (await group_now(bench)).state is GroupState.SUCCEEDED
    assert len(await completions(bench)) == 1


async def test_a_job_keeps_one_note_of_a_group_that_is_made_again_and_again(bench: Any):
    for _ in range(3):
        group, _ = await bench.group("lab/1")
        await close.delete(bench.context, "g")
    group, _ = await bench.group("lab/1")
    found = await jobs_query.find(bench.context, "lab", "1")
    assert [m.uid for m in found.job.groups] == [group.uid]
    await finish(bench, "1")
    assert await completions(bench) == [event_id(group)]


async def test_many_callers_may_add_to_one_group_at_the_same_time(bench: Any):
    await bench.group(open=True)
    bodies = [
        members.add(bench.context, "g", ("lab", str(n)), WatchRequest(), None) for n in range(60)
    ]
    await asyncio.gather(*bodies)
    group = await group_now(bench)
    assert (group.total, group.pending) == (60, 60)
