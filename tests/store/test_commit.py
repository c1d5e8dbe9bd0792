"""A commit writes all of a job's change or nothing, and never with outdated subscriptions."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from processor.model import HistoryEntry, Job, Origin, Retention, State
from processor.service.jobs.decide import expiry_changed
from processor.store import Store
from processor.store.change import Change, NewEvent
from processor.store.expiry_list import START
from processor.store.job_lookup import JobLookup
from processor.store.jobs import name_of
from processor.store.keys import Keys
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement, WorkItem

DAY = 86_400.0
NAMES = itertools.count()


def entry(ignored: str | None = None, status: str = "on") -> HistoryEntry:
    return HistoryEntry(
        Origin.PUSH, status, state=State.RUNNING, was=State.QUEUED, attempt=1, ignored=ignored
    )


def new_event(event: str = "evt_u_1", *targets: str) -> NewEvent:
    items = [WorkItem("deliver", t, f"{event}.{t}", NOW, b"{}") for t in targets]
    return NewEvent(event, "job.started", b'{"event":"%s"}' % event.encode(), tuple(items))


def whole(job: Job, version: str = "", *, renew: bool = True, **parts: Any) -> Change:
    """A change with all that a change can have, named after its job."""
    name = job.id
    given = {
        "entries": [(1.0, entry())],
        "events": [new_event(f"evt_{name}_1", "sub_1", "sub_2")],
        "items": [WorkItem("poll", "s", f"s/{name}", job.deadline_at, b"3600.000")],
        "answer": f"answer {name}".encode(),
    }
    return Change(job, version, save=True, renew=renew, **given | parts)


@pytest.fixture
def fresh(job_of: Callable[..., Job]) -> Callable[..., Job]:
    """A new job, with a deadline in an hour."""

    def make(now: float = 4_000_000_000.0, **fields: Any) -> Job:
        fields = {"created_at": now, "deadline_at": now + 3600} | fields
        return job_of(f"j{next(NAMES)}", **fields)

    return make


async def known(store: Store, keys: Keys, job: Job) -> JobLookup:
    (found,) = await store.jobs.read(keys, [name_of(job)])
    return found


async def version(store: Store, keys: Keys, job: Job) -> str:
    """The version of a job's record now."""
    return (await known(store, keys, job)).version


async def due_at(store: Store, keys: Keys, job: Job) -> float | None:
    """When a job's poll is due; None if it does not wait."""
    at = await store.connection.redis.zscore(keys.due("poll", "s"), name_of(job))
    return None if at is None else float(at) / 1000


async def written(store: Store, keys: Keys, *changes: Change, version: str = "0") -> Any:
    return await store.jobs.commit(keys, version, changes)


async def claims_of(store: Store, keys: Keys, backlog: str) -> list[Claim]:
    return await store.backlogs.claim(keys, backlog, 100, lambda _: LaneLimits(100))


async def body(store: Store, keys: Keys, event: str) -> bytes | None:
    _, (found,) = await store.subscriptions.read(keys, [], [event])
    return found


# --- all of it ----------------------------------------------------------------------------


async def test_a_commit_writes_record_history_events_and_timers(
    store: Store, keys: Keys, fresh: Any
):
    job = fresh(state=State.RUNNING)
    assert await written(store, keys, whole(job)) == [True]
    found = await known(store, keys, job)
    assert (found.version[:3], found.job) == ("1-v", job)
    (line,) = await store.jobs.history(keys, name_of(job))
    assert (line["status"], line["count"]) == ("on", 1)
    (event,) = await store.events.page(store.events.start(), 10)
    assert (event.id, event.type) == (f"evt_{job.id}_1", "job.started")
    deliveries = await claims_of(store, keys, "deliver")
    assert sorted(c.item for c in deliveries) == [f"{event.id}.sub_1", f"{event.id}.sub_2"]
    assert await body(store, keys, event.id) == event.body
    assert await due_at(store, keys, job) == job.deadline_at
    assert await store.jobs.answer(keys, name_of(job)) == f"answer {job.id}".encode()
    assert [name for _, name in await store.jobs.listed(START, 10)] == [name_of(job)]


async def test_the_next_version_has_a_number_and_a_random_word(
    store: Store, keys: Keys, fresh: Any
):
    job, words = fresh(), [""]
    for _ in range(3):
        assert await written(store, keys, whole(job, words[-1])) == [True]
        words.append(await version(store, keys, job))
    numbers, drawn = zip(*(word.split("-") for word in words[1:]), strict=True)
    assert (numbers, len(set(drawn))) == (("1", "2", "3"), 3)


async def test_a_commit_based_on_a_lost_record_is_refused(store: Store, keys: Keys, fresh: Any):
    """A crash, a restored copy or a promoted replica loses the last write; another one follows."""
    job, redis = fresh(), store.connection.redis
    await written(store, keys, whole(job))
    first = await version(store, keys, job)
    kept = await redis.dump(keys.job(name_of(job)))
    await written(store, keys, whole(replace(job, status="lost"), first))
    lost = await version(store, keys, job)
    await redis.restore(keys.job(name_of(job)), 0, kept, replace=True)
    assert await version(store, keys, job) == first
    other = replace(job, status="other")
    assert await written(store, keys, whole(other, first)) == [True]
    assert await written(store, keys, whole(replace(job, status="stale"), lost)) == [False]
    assert (await known(store, keys, job)).job == other


async def test_an_event_without_deliveries_is_logged_and_its_body_not_kept(
    store: Store, keys: Keys, fresh: Any
):
    await written(store, keys, whole(fresh(), events=[new_event("evt_x_1")]))
    assert [e.id for e in await store.events.page(store.events.start(), 10)] == ["evt_x_1"]
    assert await body(store, keys, "evt_x_1") is None


async def test_an_event_that_is_published_again_is_delivered_and_not_logged(
    store: Store, keys: Keys, fresh: Any
):
    again = replace(new_event("evt_x_1", "cb_1"), logged=False)
    await written(store, keys, whole(fresh(), events=[again]))
    assert await store.events.page(store.events.start(), 10) == []
    assert [c.item for c in await claims_of(store, keys, "deliver")] == ["evt_x_1.cb_1"]


async def test_claims_end_with_the_commit_that_they_caused(store: Store, keys: Keys, fresh: Any):
    job = fresh()
    await written(store, keys, whole(job))
    put = WorkItem("ingest", "s", "s:push", NOW, b"{}")
    await written(
        store, keys, Change(job, await version(store, keys, job), save=False, items=[put])
    )
    (claim,) = await claims_of(store, keys, "ingest")
    assert await written(
        store, keys, whole(job, await version(store, keys, job), done=[claim])
    ) == [True]
    assert await store.backlogs.settle([Settlement(claim)]) == [False]


async def test_timers_end_with_the_commit_that_drops_them(store: Store, keys: Keys, fresh: Any):
    job = fresh()
    await written(store, keys, whole(job))
    over = whole(
        job, await version(store, keys, job), items=[], dropped=[("poll", "s", name_of(job))]
    )
    assert await written(store, keys, over) == [True]
    assert await due_at(store, keys, job) is None


async def test_an_item_that_is_dropped_and_put_again_waits(store: Store, keys: Keys, fresh: Any):
    job = fresh()
    await written(store, keys, whole(job))
    again = whole(job, await version(store, keys, job), dropped=[("poll", "s", name_of(job))])
    assert await written(store, keys, again) == [True]
    assert await due_at(store, keys, job) == job.deadline_at


# --- or nothing ---------------------------------------------------------------------------


async def test_a_lost_compare_and_set_writes_all_other_jobs(
    store: Store, keys: Keys, fresh: Any, everything: Callable[[], dict[str, Any]]
):
    first, moved, last = fresh(), fresh(), fresh()
    await written(store, keys, whole(moved))
    put = WorkItem("ingest", "s", "s:push", NOW, b"{}")
    await written(
        store, keys, Change(moved, await version(store, keys, moved), save=False, items=[put])
    )
    (claim,) = await claims_of(store, keys, "ingest")

    def of_moved() -> dict[str, Any]:
        return {k: v for k, v in everything().items() if moved.id in k}

    before = of_moved()
    stale = whole(moved, "", events=[new_event("evt_stale", "sub_stale")], done=[claim])
    stale = replace(stale, items=[WorkItem("poll", "stale", "x", NOW, b"0")], answer=b"stale")
    assert await written(store, keys, whole(first), stale, whole(last)) == [True, False, True]
    assert of_moved() == before
    assert not [key for key, value in everything().items() if "stale" in f"{key} {value}"]
    for job in (first, last):
        assert (await version(store, keys, job)).startswith("1-")
        assert len(await store.jobs.history(keys, name_of(job))) == 1
    assert await store.backlogs.settle([Settlement(claim)]) == [True]  # it was still held


async def test_stale_subscriptions_refuse_everything(
    store: Store, keys: Keys, fresh: Any, everything: Callable[[], dict[str, Any]]
):
    await store.connection.redis.set(keys.subs_version, 3)
    before = everything()
    assert await written(store, keys, whole(fresh()), whole(fresh()), version="2") is None
    assert everything() == before
    assert await written(store, keys, whole(fresh()), version="3") == [True]


@pytest.mark.parametrize("existing", ["", "job", "gone"])
@pytest.mark.parametrize("read", ["", "job", "2-u", "1-other", "1", "gone"])
async def test_a_job_is_written_only_if_it_is_as_it_was_read(
    store: Store, keys: Keys, fresh: Any, existing: str, read: str
):
    job = fresh(uid="u")
    if existing:
        await written(store, keys, whole(job))
    word = await version(store, keys, job) if existing and read == "job" else read
    if existing == "gone":
        await store.jobs.delete(keys, job, await version(store, keys, job))
    assert await written(store, keys, whole(job, word)) == [read == existing]


async def test_a_job_that_is_watched_again_is_another_job(store: Store, keys: Keys, fresh: Any):
    """A worker that read the first record must not write it over the second."""
    job = fresh()
    await written(store, keys, whole(job))
    read = await known(store, keys, job)
    await store.jobs.delete(keys, job, await version(store, keys, job))
    again = replace(job, uid="another")
    await written(store, keys, whole(again, "gone"))
    stale = whole(replace(job, status="late"), read.version)
    assert await written(store, keys, stale) == [False]
    assert (await known(store, keys, job)).job == again


async def test_an_alias_is_not_a_job(store: Store, keys: Keys, fresh: Any):
    job, now = fresh(), await store.now()
    await store.jobs.alias(keys, name_of(job), "other", now + 60)
    assert await written(store, keys, whole(job)) == [False]
    assert (await known(store, keys, job)).alias_of == "other"


# --- history ------------------------------------------------------------------------------


async def add(store: Store, keys: Keys, job: Job, *entries: HistoryEntry) -> list[dict[str, Any]]:
    """Add entries a second apart; returns the history."""
    change = Change(job, "", save=False, entries=list(enumerate(entries)))
    assert await written(store, keys, change) == [True]
    return await store.jobs.history(keys, name_of(job))


async def test_identical_ignored_updates_are_one_line(store: Store, keys: Keys, fresh: Any):
    same = [entry("duplicate")] * 3
    (line,) = await add(store, keys, fresh(), *same)
    assert (line["count"], line["at"].timestamp(), line["ignored"]) == (3, 2.0, "duplicate")


async def test_only_neighbours_collapse_and_only_ignored_ones(store: Store, keys: Keys, fresh: Any):
    lines = [entry("behind"), entry("older"), entry("behind"), entry(), entry(), entry("older")]
    found = await add(store, keys, fresh(), *lines)
    assert [(line.get("ignored"), line["count"]) for line in found] == [
        (one.ignored, 1) for one in lines
    ]


async def test_history_keeps_the_newest_200(store: Store, keys: Keys, fresh: Any):
    job = fresh()
    for start in (0, 150, 300):
        found = await add(
            store, keys, job, *(entry(status=f"{n}") for n in range(start, start + 150))
        )
    assert [line["status"] for line in found] == [f"{n}" for n in range(250, 450)]


async def test_a_line_may_hold_any_word(store: Store, keys: Keys, fresh: Any):
    odd = 'über "done"\\ 100%d 3 {} %w'
    found = await add(store, keys, fresh(), entry("older", odd), entry("older", odd))
    assert [(line["status"], line["count"]) for line in found] == [(odd, 2)]


# --- how long -----------------------------------------------------------------------------


async def lives(store: Store, key: str) -> float:
    return float(await store.connection.redis.pttl(key)) / 1000


async def test_the_keys_of_a_job_expire_together(store: Store, keys: Keys, fresh: Any):
    job = fresh(await store.now())
    await written(store, keys, whole(job))
    name = name_of(job)
    expected = store.jobs.ends(job) - await store.now()
    for key in (keys.job(name), keys.history(name), keys.answer(name)):
        assert await lives(store, key) == pytest.approx(expected, abs=5), key


async def test_a_later_deadline_moves_the_expiry(store: Store, keys: Keys, fresh: Any):
    now = await store.now()
    job = fresh(now)
    await written(store, keys, whole(job))
    later = replace(job, deadline_at=now + 10 * DAY)
    assert await written(store, keys, whole(later, await version(store, keys, job))) == [True]
    name = name_of(job)
    for key in (keys.job(name), keys.history(name), keys.answer(name)):
        assert await lives(store, key) == pytest.approx(10 * DAY + Retention().jobs, abs=5), key


FINISHED = [
    ("as the deadline came", 0.0),
    ("a month before we first saw it", -40 * DAY),
    ("long after the deadline", 25 * DAY),
]


@pytest.mark.parametrize("after", [r[1] for r in FINISHED], ids=[r[0] for r in FINISHED])
async def test_a_finished_job_is_kept_as_long_as_its_dedupe_marks(
    store: Store, keys: Keys, fresh: Any, after: float
):
    """Otherwise the same push, sent again, would create a second job and a second completion.

    Whatever the provider says of when it ended: its clock is not Redis'.
    """
    now = await store.now()
    deadline_at = now - max(after, 0.0)
    expired = fresh(now - 30 * DAY, deadline_at=deadline_at, state=State.EXPIRED)
    await written(store, keys, whole(expired))
    done = replace(
        expired, finished_at=deadline_at + after, ended_at=now, completion="evt_u_1_final"
    )
    final = whole(done, await version(store, keys, done), renew=expiry_changed(expired, done))
    assert await written(store, keys, final) == [True]
    assert (await known(store, keys, done)).job == done
    name = name_of(done)
    for key in (keys.job(name), keys.history(name), keys.answer(name)):
        assert await lives(store, key) == pytest.approx(store.jobs.ends(done) - now, abs=5), key
        assert await lives(store, key) >= max(Retention().jobs, Retention().seen) - 5, key


# --- deliveries' bodies -------------------------------------------------------------------


async def test_a_body_is_removed_with_the_last_delivery(store: Store, keys: Keys, fresh: Any):
    await written(store, keys, whole(fresh(), events=[new_event("evt_x_1", "sub_1", "sub_2")]))
    one, two = await claims_of(store, keys, "deliver")
    await store.backlogs.settle([Settlement(one, event="evt_x_1")])
    assert await body(store, keys, "evt_x_1") is not None
    await store.backlogs.settle([Settlement(one, event="evt_x_1")])  # reported twice: counts once
    assert await body(store, keys, "evt_x_1") is not None
    await store.backlogs.settle([Settlement(two, event="evt_x_1")])
    assert await body(store, keys, "evt_x_1") is None


async def test_delivered_events_are_recorded_by_target(store: Store, keys: Keys, fresh: Any):
    await written(store, keys, whole(fresh(), events=[new_event("evt_x_1", "sub_1")]))
    (claim,) = await claims_of(store, keys, "deliver")
    assert await store.deliveries.pending("sub_1", "sub_1", 10) == [(b"{}", None)]
    over = Settlement(claim, event="e", target="sub_1", record=b'{"n":1}', delivered=True)
    await store.backlogs.settle([over])
    assert await store.deliveries.ended("sub_1", 10) == [b'{"n":1}']
    assert await store.deliveries.pending("sub_1", "sub_1", 10) == []
    assert await lives(store, keys.delivered("sub_1")) == pytest.approx(30 * DAY, abs=5)


async def test_dead_letters_are_kept_however_many_deliveries_succeed(
    store: Store, keys: Keys, fresh: Any
):
    """A dead letter is still needed after the next thousand deliveries."""
    names = [f"evt_{n}_1" for n in range(1500)]
    for some in (names[:1], names[1:750], names[750:]):
        await written(store, keys, whole(fresh(), events=[new_event(n, "sub_1") for n in some]))
    claims = await store.backlogs.claim(keys, "deliver", 2000, lambda _: LaneLimits(2000))
    records = [f'{{"of":"{claim.item}"}}'.encode() for claim in claims]
    for claim, record in zip(claims, records, strict=True):
        event, dead = claim.item.partition(".")[0], claim.item.startswith("evt_0_")
        over = Settlement(claim, event=event, target="sub_1", record=record, delivered=not dead)
        await store.backlogs.settle([over])
    kept = await store.deliveries.ended("sub_1", 2000)
    assert b'{"of":"evt_0_1.sub_1"}' in kept
    assert 1000 <= len(kept) < 1200


async def test_delivered_ids_are_not_kept_for_callbacks(store: Store, keys: Keys, fresh: Any):
    """Callbacks are not replayed."""
    await written(store, keys, whole(fresh(), events=[new_event("evt_x_1", "cb_1")]))
    (claim,) = await claims_of(store, keys, "deliver")
    ended = Settlement(claim, event="evt_x_1", target="cb_1", record=b"{}", delivered=True)
    assert await store.backlogs.settle([ended]) == [True]
    assert [key async for key in store.connection.redis.scan_iter("*}:delivered_ids:*")] == []


async def test_a_test_event_is_delivered_once_and_not_logged(store: Store, keys: Keys):
    for _ in range(2):
        await store.jobs.enqueue_deliveries(keys, new_event("evt_test_1", "sub_1"))
    (claim,) = await claims_of(store, keys, "deliver")
    assert claim.item == "evt_test_1.sub_1"
    assert await store.events.page(store.events.start(), 10) == []
    await store.backlogs.settle([Settlement(claim, event="evt_test_1")])
    assert await body(store, keys, "evt_test_1") is None


# --- accepting ----------------------------------------------------------------------------


async def test_a_push_is_accepted_once(store: Store, keys: Keys, update_of: Any, twice: Any):
    pushes = [("p1", update_of("1")), ("p2", update_of("2")), ("p1", update_of("1"))]
    first, second = await twice(lambda: store.inbox.accept(keys, pushes))
    assert first == [True, True, False]
    assert second == [False, False, False]
    claims = await claims_of(store, keys, "ingest")
    assert sorted(json.loads(c.payload)["id"] for c in claims) == ["1", "2"]
    assert {c.lane for c in claims} == {"s"}


async def test_the_same_name_at_two_sources_is_two_pushes(store: Store, keys: Keys, update_of: Any):
    pushes = [("p1", update_of("1")), ("p1", update_of("1", source="t"))]
    assert await store.inbox.accept(keys, pushes) == [True, True]


async def test_a_dedupe_mark_lives_for_a_week(store: Store, keys: Keys, update_of: Any):
    await store.inbox.accept(keys, [("p1", update_of())])
    await store.backlogs.settle([Settlement(c) for c in await claims_of(store, keys, "ingest")])
    assert await store.inbox.accept(keys, [("p1", update_of())]) == [False]
    assert await lives(store, keys.seen("s", "p1")) == pytest.approx(7 * DAY, abs=5)


async def test_an_accepted_push_nudges_ingest(store: Store, keys: Keys, update_of: Any):
    await store.inbox.accept(keys, [("p1", update_of()), ("p2", update_of())])
    assert await store.connection.redis.llen(keys.nudge["ingest"]) == 1


# --- names --------------------------------------------------------------------------------


async def test_an_alias_never_changes_its_job(store: Store, keys: Keys, twice: Any):
    end = await store.now() + 60
    assert await twice(lambda: store.jobs.alias(keys, "s/a", "1", end)) == (True, True)
    assert not await store.jobs.alias(keys, "s/a", "2", end)
    alias, nothing = await store.jobs.read(keys, ["s/a", "s/b"])
    assert (alias.alias_of, alias.job, alias.deleted, nothing) == ("1", None, False, JobLookup())


async def test_a_job_never_becomes_an_alias(store: Store, keys: Keys, fresh: Any):
    job, end = fresh(), await store.now() + 60
    await written(store, keys, whole(job))
    assert not await store.jobs.alias(keys, name_of(job), "2", end)
    await store.jobs.delete(keys, job, await version(store, keys, job))
    assert not await store.jobs.alias(keys, name_of(job), "2", end)


async def test_a_tombstone_lives_as_long_as_dedupe_marks(
    store: Store, keys: Keys, fresh: Any, twice: Any
):
    job = fresh()
    await written(store, keys, whole(job))
    read = await version(store, keys, job)
    assert await twice(lambda: store.jobs.delete(keys, job, read)) == (True, False)
    assert await known(store, keys, job) == JobLookup(version="gone", deleted=True)
    assert await store.jobs.history(keys, name_of(job)) == []
    assert await store.jobs.answer(keys, name_of(job)) is None
    assert await store.jobs.listed(START, 10) == []
    assert await lives(store, keys.job(name_of(job))) == pytest.approx(7 * DAY, abs=5)


async def test_a_deleted_job_may_be_watched_again(store: Store, keys: Keys, fresh: Any):
    job = fresh()
    await written(store, keys, whole(job))
    await store.jobs.delete(keys, job, await version(store, keys, job))
    assert await written(store, keys, whole(job, "gone")) == [True]
    assert (await known(store, keys, job)).job == job
    assert not (await known(store, keys, job)).deleted
    assert await lives(store, keys.job(name_of(job))) > 30 * DAY


async def test_an_alias_cannot_be_deleted_as_a_job(store: Store, keys: Keys, fresh: Any):
    job = fresh()
    await store.jobs.alias(keys, name_of(job), "1", await store.now() + 60)
    assert not await store.jobs.delete(keys, job, "1")
    assert [found.alias_of for found in await store.jobs.read(keys, [name_of(job)])] == ["1"]


async def test_the_next_attempt_of_a_paused_subscriber_comes_when_its_pause_ends(
    store: Store, keys: Keys
):
    now = 4_000_000_000
    items = [WorkItem("deliver", "t", f"evt_{at}.t", at, b"%d" % at) for at in (now, now + 9)]
    await store.backlogs.enqueue_new(keys, items)
    await store.backlogs.pause("deliver", "t", now + 5)
    assert await store.deliveries.pending("t", "t", 5) == [
        (b"%d" % now, now + 5),
        (b"%d" % (now + 9), now + 9),
    ]


async def test_the_first_waiting_deliveries_of_all_shards_are_read(store_of: Any):
    store, now = store_of(shards=2), 4_000_000_000
    for keys in store.shards:
        times = range(now + keys.shard, now + 8, 2)  # they take turns
        items = [WorkItem("deliver", "t", f"evt_{at}.t", at, b"%d" % at) for at in times]
        assert await store.backlogs.enqueue_new(keys, items) == 4
    expected = [(b"%d" % at, at) for at in range(now, now + 8)]
    assert await store.deliveries.pending("t", "t", 5) == expected[:5]
    assert await store.deliveries.pending("t", "t", 50) == expected


# --- listing and sweeping -----------------------------------------------------------------


async def test_jobs_are_listed_in_pages_the_last_to_expire_first(
    store: Store, keys: Keys, fresh: Any
):
    jobs = [fresh(4_000_000_000.0 + n) for n in range(5)]
    await written(store, keys, *(whole(job) for job in jobs))
    first = await store.jobs.listed(START, 3)
    second = await store.jobs.listed(first[-1], 3)
    assert [name for _, name in first + second] == [name_of(job) for job in reversed(jobs)]


async def test_the_sweep_removes_names_of_expired_jobs(store: Store, keys: Keys, fresh: Any):
    now = await store.now()
    here, gone = fresh(now), fresh(now)
    await written(store, keys, whole(here), whole(gone))
    await store.connection.redis.zadd(keys.jobs, {name_of(gone): int(now * 1000) - 1})
    await store.jobs.sweep(now)
    assert [name for _, name in await store.jobs.listed(START, 10)] == [name_of(here)]


# --- twice --------------------------------------------------------------------------------


async def test_a_commit_that_runs_twice_is_one_commit(
    store: Store, keys: Keys, fresh: Any, twice: Any
):
    changes = [whole(fresh()), whole(fresh())]
    assert await twice(lambda: written(store, keys, *changes)) == ([True, True], [False, False])
