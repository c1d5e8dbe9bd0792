"""Nothing is half written, whatever Redis refuses in the middle of an operation.

Each operation of the table is first run undisturbed, which shows its commands and keys. Then each of
its commands is denied, and each of its keys gets a value of another type: the operation is run, the
cause is removed, and what failed is run again. All of Redis must then be as after the undisturbed
run; and if the first run failed as a whole, it must have written nothing.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace
from redis import Redis

from processor.errors import MissingPermission, StoreUnavailable, Unavailable, WrongKeyType
from processor.group import Group, GroupState, Member, Policy, deletions_of
from processor.model import (
    Callback,
    HistoryEntry,
    Job,
    JobOrder,
    Membership,
    Origin,
    Retention,
    State,
    StatusUpdate,
    Subscription,
)
from processor.service.events.publish import delivery_item
from processor.source_statistics import JobEnd
from processor.store import Store
from processor.store.change import Change, NewEvent
from processor.store.fleet import SCHEMA
from processor.store.groups import LANE, GroupChange, deadline_item, deadline_name, end_item
from processor.store.held import Acceptance, HoldEnd
from processor.store.keys import META, PROCESSES, STATISTICS, WORKERS, Keys, day_of
from processor.store.names import naming
from processor.store.planned_poll import SoonerPoll
from processor.store.redeliveries import ReadPosition, Redelivery
from processor.store.refusals import Outcome
from processor.store.waiters import WaitMark
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement, WorkItem
from processor.vault import MasterKey, Vault

FUTURE = 4_000_000_000.0
USER, SECRET = "limited", "s3cret"
SUB = Subscription(id="sub_1", url="https://one.example", secrets=("whsec_a",), created_at=1.0)
CALLBACK = Subscription(id="cb_1", url="https://back.example", secrets=("whsec_b",))
MEMBERSHIP = Membership("g", "u", "s/1")
GROUP = Group(
    *("g", "u", "digest", Policy.ALL, FUTURE, FUTURE + 60),
    own_deadline=True,
    callback=Callback("cb_1", "back.example"),
    total=3,
)
HARNESS = {"config|resetstat", "client|setinfo", "hello", "auth", "ping", "script|load"}
NEED_NOT = {"info"}  # commands without which a push is still accepted
TYPELESS = {"writable", "rights"}  # operations that read no value
SHORT = re.compile(rb":busy:|^rb:probe$")  # keys that may expire between two reads


def job(name: str, **fields: Any) -> Job:
    given: dict[str, Any] = {"source": "s", "provider": "p", "id": name, "uid": f"u{name}"}
    times = {"created_at": FUTURE, "deadline": 60.0, "deadline_at": FUTURE + 60.0}
    return Job(**given | times | fields)


def update(name: str) -> StatusUpdate:
    return StatusUpdate(
        source="s", id=name, status="on", state=State.RUNNING, at=1.0, origin=Origin.PUSH
    )


def new_event(
    event: str, *targets: str, at: float = NOW, ordered: str = "", n: int = 1
) -> NewEvent:
    """An event with deliveries; after others of the job `ordered`, if that is given."""
    order = JobOrder(ordered, n) if ordered else None
    items = tuple(WorkItem("deliver", t, f"{event}.{t}", at, b"{}", order) for t in targets)
    return NewEvent(event, "job.started", b'{"body":"%s"}' % event.encode(), items)


def entry(ignored: str | None = None) -> HistoryEntry:
    return HistoryEntry(
        Origin.PUSH, "on", state=State.RUNNING, was=State.QUEUED, attempt=1, ignored=ignored
    )


class Bench:
    """A store with a user of its own, and a client with all rights."""

    def __init__(self, store: Store, admin: "Redis") -> None:
        self.store = store
        self.keys = store.shards[0]
        self.admin = admin

    async def put(self, backlog: str, lane: str, *items: str, at: float = NOW) -> None:
        items = [WorkItem(backlog, lane, item, at, b"0") for item in items]
        version = (await self.store.subscriptions.router(self.keys, fresh=True)).version
        change = Change(job=job("none"), version="", save=False, items=items)
        assert await self.store.jobs.commit(self.keys, version, [change]) == [True]

    async def claim(self, backlog: str = "poll", pace: LaneLimits = LaneLimits(100)) -> list[Claim]:  # noqa: B008 -- frozen
        return await self.store.backlogs.claim(self.keys, backlog, 100, lambda _: pace)

    async def claims(self, backlog: str = "poll") -> list[Claim]:
        """All due items, claimed and sorted."""
        found: list[Claim] = []
        while some := await self.claim(backlog):
            found += some
        return sorted(found, key=lambda c: c.item)


Given = Any
Prepare = Callable[[Bench], Awaitable[Given]]
Act = Callable[[Bench, Given, list[int]], Awaitable[list[Outcome] | None]]
"""Does the parts of an operation that are named by number; what became of each, or None for
one that cannot fail in part."""


@dataclass(frozen=True)
class Operation:
    """An operation, and what it is run on."""

    act: Act
    prepare: Prepare
    script: str | None = None  # the only script that it runs, whose commands are all denied in turn
    parts: int = 1
    atomic: bool = True  # one script: if it fails as a whole, nothing is written


async def nothing(bench: Bench) -> None:
    """Start with an empty store."""


# --- the table --------------------------------------------------------------------------------


async def accept(b: Bench, _: Given, parts: list[int]) -> list[Outcome] | None:
    updates = [update("1"), replace(update("2"), source="t"), replace(update("3"), aliases=("a",))]
    pushes = [(f"p{n}", one) for n, one in enumerate(updates)]
    names = [naming(one.source, one.id, *one.aliases) for one in updates]
    return await b.store.inbox.accept(b.keys, [pushes[n] for n in parts], [names[n] for n in parts])


async def hold(b: Bench, _: Given, parts: list[int]) -> list[Outcome] | None:
    pushes = [(f"p{n}", replace(update(str(n)), source=f"s{n}")) for n in parts]
    rows = await b.store.inbox.accept(b.keys, pushes, [], hold=range(len(parts)))
    return rows and [row is Acceptance.HELD or row for row in rows]


async def two_held(b: Bench) -> list[Claim]:
    assert await hold(b, None, [0, 1]) == [True, True]
    redis = b.store.connection.redis
    for n in (0, 1):
        await redis.zadd(b.keys.due("ingest", f"s{n}"), {f"s{n}:p{n}": 1})
        await redis.zadd(b.keys.lanes["ingest"], {f"s{n}": 1})
    return await b.claims("ingest")


async def end_held(b: Bench, given: Given, parts: list[int]) -> list[Outcome] | None:
    rows = await b.store.held.end([(given[n], str(n)) for n in parts])
    return [row is HoldEnd.ENDED or row for row in rows]


async def one_held(b: Bench) -> None:
    assert await hold(b, None, [0]) == [True]


async def register_alias(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.jobs.alias(b.keys, "s0/0", "1", FUTURE)


async def register(b: Bench, _: Given, __: list[int]) -> list[Outcome] | None:
    (known,) = await b.store.jobs.read(b.keys, ["s0/0"])
    change = Change(job("0", source="s0"), known.version, save=True, renew=True)
    return await b.store.jobs.commit(b.keys, "0", [change])


async def memory(b: Bench, _: Given, __: list[int]) -> None:
    keys = b.keys
    names = [keys.waiting, keys.items["ingest"], keys.items["deliver"], keys.overflow]
    await b.store.connection.run("memory", names, [])


async def mark_process(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.connection.run("mark_process", [PROCESSES], ["web-1", "1.000 {}"])


async def forget_processes(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.connection.run("forget_processes", [PROCESSES], ["web-1", "1.000 {}"])


async def a_process(b: Bench) -> None:
    await mark_process(b, None, [])


async def reserve(b: Bench, _: Given, parts: list[int]) -> list[Outcome] | None:
    await b.store.names.reserve([naming("s", "1", "a"), naming("s", "2")])
    redis = b.store.connection.redis
    rows = await b.store.connection.ask(redis.mget([b.keys.job("s/1"), b.keys.job("s/2")]))
    alias = await b.store.connection.ask(redis.mget([b.keys.job("s/a")]))
    done = [all([rows[0], *alias]), bool(rows[1])]
    return [done[n] or WrongKeyType(str(n)) for n in parts]


async def a_circle(b: Bench) -> None:
    for name, to in ("s/1", "a"), ("s/a", "1"):
        await b.store.jobs.alias(b.keys, name, to, FUTURE)


async def break_circle(b: Bench, _: Given, __: list[int]) -> list[Outcome] | None:
    await b.store.names.reserve([naming("s", "1", "a")])
    redis = b.store.connection.redis
    (row,) = await b.store.connection.ask(redis.mget([b.keys.job("s/1")]))
    return [(row or b"").startswith(b"new-") or WrongKeyType("1")]


async def an_alias(b: Bench) -> None:
    await b.store.jobs.alias(b.keys, "s/a", "1", FUTURE)


async def unalias(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.jobs.unalias(b.keys, "s/a", "1")


async def alias(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.jobs.alias(b.keys, "s/other", "1", FUTURE)


async def callback(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.subscriptions.save_callback(b.keys, CALLBACK, FUTURE)


async def callback_that_is_there(b: Bench) -> None:
    await b.store.subscriptions.save_callback(b.keys, CALLBACK, FUTURE - 60)


async def overflowing(b: Bench) -> None:
    await b.store.connection.redis.hset(b.keys.overflow, "sub_1", "5-1 9-1 3")


async def advance_overflow_in_part(b: Bench, _: Given, __: list[int]) -> None:
    assert not await b.store.deliveries.advance_overflow(b.keys, "sub_1", "7-1", 1)


async def advance_overflow(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.deliveries.advance_overflow(b.keys, "sub_1", "9-1", 3)


async def subscriptions(b: Bench) -> None:
    for one in (SUB, replace(SUB, id="sub_2")):
        await b.store.subscriptions.save(one)


async def update_subscription(b: Bench, _: Given, __: list[int]) -> None:
    put = delivery_item("evt_d", "subscription.disabled", "sub_2", "sub_2", FUTURE)
    event = NewEvent("evt_d", "subscription.disabled", b"{}", (put,))
    edited = await b.store.subscriptions.change(
        "sub_1", lambda s: replace(s, disabled="410"), lambda *_: event
    )
    assert edited
    assert edited.disabled


async def work_in_lanes(b: Bench) -> None:
    await b.put("poll", "a", "a1", "a2")
    await b.put("poll", "b", "b1")
    redis = b.store.connection.redis
    await redis.hset(b.keys.paused["poll"], "b", 1)  # a time in the past
    await redis.zadd(b.keys.retries("poll", "a"), {"a1": 1})  # an attempt failed
    await redis.zrem(b.keys.due("poll", "a"), "a1")
    await redis.hdel(b.keys.items["poll"], "a2")  # it has ended, but is still in a set


async def claim(b: Bench, _: Given, parts: list[int]) -> list[Outcome] | None:
    got: set[str] = set()
    for _n in range(3):  # the first call learns which lanes are due
        got |= {c.item for c in await b.claim(pace=LaneLimits(100, (100, 60.0)))}
    wanted = ["a1", "b1"]
    return [wanted[n] in got or WrongKeyType(wanted[n]) for n in parts]


async def jobs_and_timers(b: Bench) -> tuple[str, list[Claim]]:
    """A stored job, claimed updates of two jobs, and an ordered delivery."""
    await subscriptions(b)
    await b.store.subscriptions.save_callback(b.keys, CALLBACK, FUTURE)
    version = (await b.store.subscriptions.router(b.keys, fresh=True)).version
    old = job("old", callbacks=())
    first = Change(
        old,
        "",
        save=True,
        renew=True,
        entries=[(1.0, entry("late"))],
        events=[new_event("evt_0", "sub_1", ordered="uold", n=1)],
    )
    assert await b.store.jobs.commit(b.keys, version, [first]) == [True]
    await b.put("ingest", "s", "old", "new", "mate")
    (known,) = await b.store.jobs.read(b.keys, ["s/old"])
    return known.version, await b.claims("ingest")


async def commit(b: Bench, given: Given, parts: list[int]) -> list[Outcome] | None:
    version, claims = given
    done = {c.item: (c,) for c in claims}
    old = job("old", deadline_at=FUTURE + 90, started_at=2.0)
    changes = [
        Change(
            old,
            version,
            save=True,
            renew=True,
            entries=[(2.0, entry("late")), (3.0, entry())],
            events=[new_event("evt_1", "sub_1", "sub_2", ordered="uold", n=2)],
            items=[WorkItem("poll", "s", "s/old", FUTURE, b"0")],
            done=done["old"],
            answer=b"answer",
        ),
        Change(
            replace(job("new"), callbacks=()),
            "",
            save=True,
            renew=True,
            entries=[(1.0, entry())],
            events=[new_event("evt_2", "sub_2"), replace(new_event("evt_3", "cb_1"), logged=False)],
            items=[WorkItem("ingest", "s", "deadline:new", FUTURE, b"0")],
            done=done["new"],
            dropped=[("poll", "s", "s/new")],
        ),
        Change(job("mate"), "", save=True, renew=True, done=done["mate"]),
    ]
    router = await b.store.subscriptions.router(b.keys, fresh=True)
    return await b.store.jobs.commit(b.keys, router.version, [changes[n] for n in parts])


async def a_full_subscription(b: Bench) -> None:
    await b.put("deliver", "sub_1", "evt_a.sub_1", "evt_b.sub_1", at=FUTURE)


async def overflow(b: Bench, _: Given, parts: list[int]) -> list[Outcome] | None:
    jobs = [job("1"), job("2")]
    changes = [Change(j, "", save=True, events=[new_event(f"evt_{j.id}", "sub_1")]) for j in jobs]
    router = await b.store.subscriptions.router(b.keys, fresh=True)
    return await b.store.jobs.commit(b.keys, router.version, [changes[n] for n in parts])


async def a_job(b: Bench) -> None:
    whole = Change(job("1"), "", save=True, renew=True, entries=[(1.0, entry())], answer=b"a")
    assert await b.store.jobs.commit(b.keys, "0", [whole]) == [True]


async def delete_job(b: Bench, _: Given, __: list[int]) -> None:
    (found,) = await b.store.jobs.read(b.keys, ["s/1"])
    assert await b.store.jobs.delete(b.keys, job("1"), found.version)


def member() -> Job:
    return replace(job("1"), groups=(MEMBERSHIP,))


async def a_member(b: Bench) -> None:
    whole = Change(member(), "", save=True, renew=True)
    assert await b.store.jobs.commit(b.keys, "0", [whole]) == [True]


async def delete_member(b: Bench, _: Given, __: list[int]) -> None:
    (found,) = await b.store.jobs.read(b.keys, ["s/1"])
    items = [end_item(end) for end in deletions_of(member())]
    assert await b.store.jobs.delete(b.keys, member(), found.version, items)


async def subscriptions_and_callback(b: Bench) -> None:
    await subscriptions(b)
    await b.store.subscriptions.save_callback(b.keys, CALLBACK, FUTURE)


async def create_group(b: Bench, _: Given, __: list[int]) -> None:
    version = (await b.store.subscriptions.router(b.keys, fresh=True)).version
    rows = {f"s/{n}": Member(n) for n in range(3)}
    change = GroupChange(GROUP, "", rows, items=[deadline_item(GROUP)])
    assert await b.store.groups.commit(version, change)


async def a_group(b: Bench) -> str:
    await subscriptions_and_callback(b)
    await create_group(b, None, [])
    return (await b.store.groups.read("g")).version


async def end_group(b: Bench, read: Given, __: list[int]) -> None:
    ended = replace(GROUP, state=GroupState.EXPIRED, finished_at=FUTURE)
    rows = {"s/1": Member(1, State.SUCCEEDED)}
    change = GroupChange(
        *(ended, read, rows),
        events=[new_event("evt_gu_final", "sub_1", "cb_1")],
        dropped=[("ingest", LANE, deadline_name("g"))],
    )
    version = (await b.store.subscriptions.router(b.keys, fresh=True)).version
    assert await b.store.groups.commit(version, change)


async def delete_group(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.groups.delete("g")


async def deliveries_to_make(b: Bench) -> None:
    await subscriptions(b)
    await b.store.subscriptions.save_callback(b.keys, CALLBACK, FUTURE)
    for event in ("evt_1", "evt_2"):
        await b.store.jobs.enqueue_deliveries(b.keys, new_event(event, "sub_1"))


async def read_deliveries(b: Bench, _: Given, parts: list[int]) -> list[Outcome] | None:
    targets, bodies = await b.store.subscriptions.read(
        b.keys, ["cb_1", "sub_1"], ["evt_1", "evt_2"]
    )
    found: list[Any] = [*targets.values(), *bodies]
    assert all(found)
    return [one if isinstance(one, WrongKeyType) else True for one in (found[n] for n in parts)]


async def record_attempt(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.failure_scores.record("sub_1", "unavailable", 10, 1.0)


async def failures(b: Bench) -> None:
    await b.store.failure_scores.record("sub_1", "refused", 10, 1.0)


async def record_success(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.failure_scores.record("sub_1", "ok", 10, 1.0)


async def a_delivery_for_later(b: Bench) -> None:
    await b.put("deliver", "sub_1", "evt_a.sub_1", at=FUTURE)


async def run_now(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.redeliveries.run_now(b.keys, "sub_1", "evt_a.sub_1")


async def claimed(b: Bench) -> list[Claim]:
    await b.put("poll", "a", "a1")
    await b.put("poll", "b", "b1")
    return await b.claims()


async def a_poll_for_later(b: Bench) -> None:
    await b.put("poll", "a", "a1", at=FUTURE)
    redis = b.store.connection.redis
    await redis.hset(b.keys.paused["poll"], "a", 1)  # a time in the past
    await redis.hset(b.keys.rate_limit["poll"], "a", 1)


async def admit(b: Bench, _: Given, __: list[int]) -> None:
    assert isinstance(await b.store.backlogs.admit(b.keys, "poll", ("a", "?a/1"), 4), Claim)


async def take(b: Bench, _: Given, parts: list[int]) -> list[Outcome] | None:
    names = [b.keys.bucket(str(n)) for n in parts]
    args = [value for index, _n in enumerate(parts, 1) for value in (index, 1000, 4, 0)]
    rows = await b.store.connection.run("take", names, args)
    return [row == 0 or WrongKeyType(str(row)) for row in rows]


async def park(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.connection.run("park", [b.keys.bucket("0")], [int(FUTURE * 1000)])


async def mark_waited(b: Bench, _: Given, __: list[int]) -> list[Outcome] | None:
    mark = WaitMark(b.keys, "a", "a1", 60, floor=1.0, not_before=FUTURE - 100, most=10)
    (marked,) = await b.store.waiters.mark([mark])
    return None if marked else [WrongKeyType("the job is polled as if nobody waited")]


async def bring_forward(b: Bench, _: Given, __: list[int]) -> None:
    sooner = SoonerPoll("a1", FUTURE - 100, 1.0)
    assert await b.store.polls.bring_forward(b.keys, "a", [sooner]) == 1


async def a_poll_far_away(b: Bench) -> None:
    items = [WorkItem("poll", "a", "a1", FUTURE, b"900.000")]
    change = Change(job=job("none"), version="", save=False, items=items)
    assert await b.store.jobs.commit(b.keys, "0", [change]) == [True]


async def renew(b: Bench, given: Given, parts: list[int]) -> list[Outcome] | None:
    claims = [replace(given[n]) for n in parts]
    await b.store.backlogs.renew(claims)
    pairs = zip(claims, parts, strict=True)
    return [c.token != given[n].token or WrongKeyType(c.lane) for c, n in pairs]


async def delivered_before(b: Bench) -> None:
    await subscriptions(b)
    redis = b.store.connection.redis
    today = day_of(await b.store.now())
    await redis.sadd(b.keys.delivered_ids("sub_1", today), "evt_0")
    await redis.xadd(b.keys.delivered("sub_1"), {"delivery": b'{"id":"x","state":"delivered"}'})
    await b.put("deliver", "sub_1", "evt_9.sub_1", at=FUTURE)


async def replay(b: Bench, _: Given, __: list[int]) -> None:
    items = [
        new_event(f"evt_{n}", "sub_1", at=FUTURE, ordered="u1", n=n).deliveries[0] for n in range(3)
    ]
    again = [Redelivery(put, put.item.partition(".")[0], b"{}") for put in items]
    words = await b.store.redeliveries.queue(b.keys, "sub_1", ReadPosition(), again, again=False)
    assert {"delivered"} < set(words) <= {"delivered", "queued", "pending"}


async def a_sealed_callback(b: Bench) -> None:
    await b.store.subscriptions.save_callback(b.keys, CALLBACK, FUTURE)


async def swap_callback(b: Bench, _: Given, __: list[int]) -> None:
    key = b.keys.callback("cb_1")
    assert await b.store.connection.run("swap_callback", [key], [await text_of(b, key), b"{}"]) in (
        0,
        1,
    )


async def text_of(b: Bench, key: str) -> bytes:
    return await b.store.connection.ask(b.store.connection.redis.get(key)) or b""


async def swap_subscription(b: Bench, _: Given, __: list[int]) -> None:
    was = await b.store.connection.ask(b.store.connection.redis.hget(b.keys.subs, "sub_1"))
    await b.store.connection.run("swap_subscription", [b.keys.subs], ["sub_1", was, b"{}"])


async def statistics_of_a_source(b: Bench) -> None:
    b.store.statistics.collect([("s", JobEnd(None, 1.0, "poll"))])
    await b.store.statistics.write()


async def swap_statistics(b: Bench, _: Given, __: list[int]) -> None:
    was = await b.store.connection.ask(b.store.connection.redis.hget(STATISTICS, "s")) or b""
    args = [60_000, "s", was, b"{}", "t", b"", b"{}"]
    assert await b.store.connection.run("swap_statistics", [STATISTICS], args) == [1, 1]


async def claimed_deliveries(b: Bench) -> list[Claim]:
    await subscriptions(b)
    for n, target in enumerate(("sub_1", "sub_1", "sub_2", "sub_2"), 1):
        event = new_event(f"evt_{n}", target, ordered=f"u{target}", n=n)
        await b.store.jobs.enqueue_deliveries(b.keys, event)
    redis, today = b.store.connection.redis, day_of(await b.store.now())
    await redis.sadd(b.keys.delivered_ids("sub_1", today - 1), "evt_x")
    await redis.sadd(b.keys.delivered_ids("sub_1", today), "evt_y")
    return await b.claims("deliver")


async def settle(b: Bench, given: Given, parts: list[int]) -> list[Outcome] | None:
    """One was delivered, so that the next may start; one failed, and may be skipped."""
    one, two = given
    later = await b.store.now() + 60
    settled = [
        Settlement(
            one,
            event="evt_1",
            target="sub_1",
            record=b"{}",
            delivered=True,
            order=JobOrder("usub_1", 1),
        ),
        Settlement(two, later, b"x", failed=True, order=JobOrder("usub_2", 3), may_be_skipped=True),
    ]
    return await b.store.backlogs.settle([settled[n] for n in parts])


async def record_dead_letter(b: Bench, given: Given, parts: list[int]) -> list[Outcome] | None:
    dead = [
        Settlement(c, event=c.item[:5], target=c.lane, record=b"{}", requires_token=True)
        for c in given
    ]
    return await b.store.backlogs.settle([dead[n] for n in parts])


async def postpone(b: Bench, given: Given, parts: list[int]) -> list[Outcome] | None:
    later = await b.store.now() + 60
    settled = [Settlement(c, later, b"x") for c in given]
    paused = [(given[n], later) for n in parts]
    return await b.store.backlogs.settle([settled[n] for n in parts], paused)


async def pause(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.backlogs.pause("deliver", "sub_1", await b.store.now() + 60)


async def a_paused_lane(b: Bench) -> None:
    await b.put("deliver", "sub_1", "evt_a.sub_1")
    await b.store.connection.redis.zadd(b.keys.lanes["deliver"], {"sub_1": int(FUTURE * 1000)})
    for key in (b.keys.paused["deliver"], b.keys.rate_limit["deliver"]):
        await b.store.connection.redis.hset(key, "sub_1", int(FUTURE * 1000))


async def recheck(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.backlogs.recheck("deliver", "sub_1", end_pause=True, charge=1.0)


async def subscribe(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.subscriptions.save(SUB)


async def a_busy_subscription(b: Bench) -> None:
    await subscriptions(b)
    await overflowing(b)
    for key in (b.keys.paused["deliver"], b.keys.rate_limit["deliver"]):
        await b.store.connection.redis.hset(key, "sub_1", 1)


async def unsubscribe(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.subscriptions.remove("sub_1")


async def enqueue_deliveries(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.jobs.enqueue_deliveries(b.keys, new_event("evt_t", "sub_1", ordered="u1"))


async def enqueue_new(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.backlogs.enqueue_new(b.keys, [WorkItem("poll", "s", "?all", NOW, b"0")])


async def due_work(b: Bench) -> None:
    for backlog in ("ingest", "poll", "deliver"):
        await b.put(backlog, "a", "a1")
        await b.store.connection.redis.delete(b.keys.nudge[backlog], b.keys.busy[backlog])


async def nudge_due(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.backlogs.nudge_due()


async def a_long_log(b: Bench) -> None:
    for place in ("5-1", "6-1", "7-1", f"{int(FUTURE * 1000)}-1", f"{int(FUTURE * 1000)}-2"):
        await b.store.connection.redis.xadd(b.keys.log, {"id": place}, id=place)


async def trim_event_log(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.events.trim(FUTURE)


async def sweep(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.jobs.sweep(FUTURE * 2)
    await b.store.groups.sweep(FUTURE * 2)


async def a_dead_worker(b: Bench) -> None:
    await b.store.connection.redis.hset(WORKERS, "dead", "1.0 gone")


async def beat(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.heartbeat("w", "fact")


async def check(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.check()


async def join(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.fleet.join()


async def a_new_store_of_two_shards(b: Bench) -> None:
    now = int(await b.store.now() * 1000)
    made = {"schema": SCHEMA, "shards": 2, "id": "a", "made": now, "since": now * 2}
    await b.store.connection.redis.hset(META, mapping=made)


async def an_older_store(b: Bench) -> None:
    await b.store.connection.redis.hset(META, mapping={"schema": 1, "migrating": "me 1"})


async def a_version_of_schema_1(b: Bench) -> None:
    await b.store.connection.redis.set(b.keys.subs_version, "7")


async def draw_version(b: Bench, _: Given, __: list[int]) -> None:
    word = ["v" + "a" * 16]
    assert await b.store.connection.run("draw_version", [b.keys.subs_version], word)


async def lease_migration(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.connection.run("lease_migration", [META], [1, "me", 1000]) == b"ours"


async def end_migration(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.connection.run("end_migration", [META], [1, 2, "a" * 16])


async def deliveries_of_schema_2(b: Bench) -> None:
    order = '"turn":{"job":"u","sequence":1}'
    redis = b.store.connection.redis
    await redis.hset(b.keys.items["deliver"], "evt_a.sub_1", f'{{"id":"evt_a.sub_1",{order}}}')
    for key in (b.keys.delivered("sub_1"), b.keys.dead("sub_1")):
        await redis.xadd(key, {"delivery": f'{{"state":"failed","why":null,{order}}}'})
        await redis.expire(key, 1000)


async def migrate_items(b: Bench, _: Given, __: list[int]) -> None:
    items = b.keys.items["deliver"]
    assert await b.store.connection.run("migrate_items", [items], ["0", 10]) == b"0"


async def migrate_records(b: Bench, _: Given, parts: list[int]) -> list[Outcome]:
    streams = [b.keys.delivered("sub_1"), b.keys.dead("sub_1")]
    keys = [key for n in parts for key in (streams[n], f"{streams[n]}:new")]
    await b.store.connection.run("migrate_records", keys, [])
    types = [await b.store.connection.redis.type(streams[n]) for n in parts]
    return [t == b"stream" or WrongKeyType(streams[n]) for n, t in zip(parts, types, strict=True)]


async def step(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.connection.run("note_clock_step", [META], [0, 600_000]) == 1


async def unstep(b: Bench, _: Given, __: list[int]) -> None:
    """The clock was set back: a piece of one item, then the other item."""
    k, name = b.keys, "a"
    names = [k.clock_step, k.lanes["poll"], k.paused["poll"], k.rate_limit["poll"]]
    names += [k.claimed("poll", name), k.due("poll", name), k.retries("poll", name)]
    args = [1, 600_000, int(FUTURE * 1000) - 600_000, name, 1]
    while await b.store.connection.run("undo_clock_step", names, args):
        pass
    due = await b.store.connection.redis.zrange(k.due("poll", name), 0, -1, withscores=True)
    assert [at for _, at in due] == [FUTURE * 1000 - 600_000] * 2


async def polls_for_later(b: Bench) -> None:
    await b.put("poll", "a", "a1", at=FUTURE)
    await b.put("poll", "a", "a2", at=FUTURE - 0.001)
    for key in (b.keys.paused["poll"], b.keys.rate_limit["poll"]):
        await b.store.connection.redis.hset(key, "a", int(FUTURE * 1000))


async def a_lease_for_too_long(b: Bench) -> None:
    await b.put("poll", "a", "a1")
    await b.claims()
    held = b.keys.claimed("poll", "a")
    await b.store.connection.redis.zadd(held, {"a1": int(FUTURE * 1000)})


async def end_leases(b: Bench, _: Given, __: list[int]) -> None:
    names = [b.keys.lanes["poll"], b.keys.claimed("poll", "a")]
    args = [30_000, "a", "a1", int(FUTURE * 1000)]
    assert await b.store.connection.run("end_leases", names, args) == 1


async def rights(b: Bench, _: Given, __: list[int]) -> None:
    assert await b.store.connection.run("rights", [b.keys.jobs, META], ["TIME"]) == []


async def stall(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.stalled_sources.note("s", "401")


async def writable(b: Bench, _: Given, __: list[int]) -> None:
    b.store.subscriptions.forget()  # so that subscriptions are read each time
    await b.store.writable()


async def forget_failures(b: Bench, _: Given, __: list[int]) -> None:
    await b.store.failure_scores.forget("sub_1")


async def reseal(b: Bench, _: Given, __: list[int]) -> None:
    b.store.resealer._vault = Vault((MasterKey("k1", b"1" * 32),))
    await b.store.resealer.run()


SCRIPTS = {
    "accept": Operation(accept, nothing, "accept", 3),
    "alias": Operation(alias, nothing, "alias"),
    "alias of what is held": Operation(register_alias, one_held, "alias"),
    "end held": Operation(end_held, two_held, "end_held", 2),
    "hold": Operation(hold, nothing, "accept", 2),
    "register": Operation(register, one_held, "commit"),
    "mark of a process": Operation(mark_process, nothing, "mark_process"),
    "forget processes": Operation(forget_processes, a_process, "forget_processes"),
    "break circle": Operation(break_circle, a_circle, "break_circle", atomic=False),
    "callback": Operation(callback, nothing, "callback"),
    "callback again": Operation(callback, callback_that_is_there, "callback"),
    "advance overflow in part": Operation(
        advance_overflow_in_part, overflowing, "overflow_advance"
    ),
    "advance overflow": Operation(advance_overflow, overflowing, "overflow_advance"),
    "update subscription": Operation(update_subscription, subscriptions, "update_subscription"),
    "claim": Operation(claim, work_in_lanes, "claim", 2, atomic=False),
    "commit": Operation(commit, jobs_and_timers, "commit", 3),
    "draw version": Operation(draw_version, a_version_of_schema_1, "draw_version"),
    "end migration": Operation(end_migration, an_older_store, "end_migration"),
    "join": Operation(join, nothing, "join"),
    "join again": Operation(join, a_new_store_of_two_shards, "join"),
    "lease migration": Operation(lease_migration, an_older_store, "lease_migration"),
    "migrate items": Operation(migrate_items, deliveries_of_schema_2, "migrate_items"),
    "migrate records": Operation(migrate_records, deliveries_of_schema_2, "migrate_records", 2),
    "overflow": Operation(overflow, a_full_subscription, "commit", 2),
    "delete job": Operation(delete_job, a_job, "delete_job"),
    "delete member": Operation(delete_member, a_member, "delete_job"),
    "create group": Operation(create_group, subscriptions_and_callback, "commit_group"),
    "delete group": Operation(delete_group, a_group, "delete_group"),
    "end group": Operation(end_group, a_group, "commit_group"),
    "read deliveries": Operation(read_deliveries, deliveries_to_make, "read_deliveries", 4),
    "record attempt": Operation(record_attempt, nothing, "record_attempt"),
    "record attempt after failures": Operation(record_attempt, failures, "record_attempt"),
    "record success": Operation(record_success, failures, "record_attempt"),
    "admit": Operation(admit, a_poll_for_later, "admit"),
    "run now": Operation(run_now, a_delivery_for_later, "run_now"),
    "step": Operation(step, nothing, "note_clock_step"),
    "unstep": Operation(unstep, polls_for_later, "undo_clock_step"),
    "end leases": Operation(end_leases, a_lease_for_too_long, "end_leases"),
    "renew": Operation(renew, claimed, "renew", 2),
    "take": Operation(take, nothing, "take", 2),
    "park": Operation(park, nothing, "park"),
    "bring forward": Operation(bring_forward, a_poll_far_away, "bring_forward"),
    "mark waited": Operation(mark_waited, a_poll_far_away, "mark_waited"),
    "replay": Operation(replay, delivered_before, "replay"),
    "memory": Operation(memory, deliveries_to_make, "memory"),
    "swap callback": Operation(swap_callback, a_sealed_callback, "swap_callback"),
    "reserve": Operation(reserve, nothing, "reserve_names", 2, atomic=False),
    "settle": Operation(settle, claimed_deliveries, "settle", 2),
    "settle dead letter": Operation(record_dead_letter, claimed_deliveries, "settle", 2),
    "settle later": Operation(postpone, claimed, "settle", 2),
    "pause": Operation(pause, a_delivery_for_later, "settle"),
    "recheck": Operation(recheck, a_paused_lane, "recheck_lane"),
    "subscribe": Operation(subscribe, nothing, "subscribe"),
    "swap subscription": Operation(swap_subscription, subscriptions, "swap_subscription"),
    "swap statistics": Operation(swap_statistics, statistics_of_a_source, "swap_statistics"),
    "enqueue deliveries": Operation(enqueue_deliveries, nothing, "enqueue_deliveries"),
    "enqueue new": Operation(enqueue_new, nothing, "enqueue_new"),
    "nudge due": Operation(nudge_due, due_work, "nudge_due", atomic=False),
    "trim event log": Operation(trim_event_log, a_long_log, "trim_event_log"),
    "unalias": Operation(unalias, an_alias, "unalias"),
    "unsubscribe": Operation(unsubscribe, a_busy_subscription, "unsubscribe"),
}

CALLS = {
    "beat of a worker": Operation(beat, a_dead_worker, "beat_worker"),
    "check": Operation(check, nothing, atomic=False),
    "forget failures": Operation(forget_failures, failures),
    "reseal": Operation(reseal, deliveries_to_make, atomic=False),
    "rights": Operation(rights, nothing, "rights"),
    "stall": Operation(stall, nothing),
    "sweep": Operation(sweep, a_job),
    "writable": Operation(writable, nothing, atomic=False),
}

OPERATIONS = SCRIPTS | CALLS


# --- what is done with it ---------------------------------------------------------------------


class World:
    """All of Redis: restored as it was prepared, and compared without times and random words."""

    def __init__(self, admin: "Redis") -> None:
        """Take a client with all rights."""
        self.admin = admin
        self._rows: list[tuple[bytes, bytes, int]] = []

    def remember(self) -> None:
        names = self.admin.keys("*")
        self._rows = [(n, self.admin.dump(n), max(self.admin.pexpiretime(n), 0)) for n in names]

    def restore(self) -> None:
        pipe = self.admin.pipeline(transaction=False)
        pipe.flushall()
        for name, data, ends in self._rows:
            pipe.restore(name, ends, data, absttl=True)
        pipe.execute()

    def look(self) -> dict[str, Any]:
        names = [name for name in self.admin.keys("*") if not SHORT.search(name)]
        return {n.decode(): (self._content(n), self.admin.ttl(n) > 0) for n in names}

    def _content(self, name: bytes) -> Any:
        match self.admin.type(name):
            case b"string":
                return plain(self.admin.get(name))
            case b"hash":
                return {f: plain(v) for f, v in self.admin.hgetall(name).items()}
            case b"list":
                return [plain(v) for v in self.admin.lrange(name, 0, -1)]
            case b"zset":
                rows = self.admin.zrange(name, 0, -1, withscores=True)
                return sorted((item, "time" if 1e12 < at < 9e15 else at) for item, at in rows)
            case b"set":
                return self.admin.smembers(name)
            case b"stream":
                rows = self.admin.xrange(name)  # what failed at first is written after the rest
                return sorted(sorted((f, plain(v)) for f, v in row.items()) for _, row in rows)


def plain(value: bytes) -> bytes:
    """A value without the times, stream ids and random words in it."""
    return re.sub(
        rb"\bv?[0-9a-f]{16}\b|\b\d{10,13}([.-]\d+)?\b|\bnew-\w+|sealed:k1:[^\"]+", b"_", value
    )


@pytest.fixture
def admin(redis_url: str) -> Iterator["Redis"]:
    with Redis.from_url(redis_url) as redis:
        yield redis
        redis.config_set("maxmemory", 0)
        redis.config_set("min-replicas-to-write", 0)
        redis.acl_deluser(USER)
        redis.flushall()


@pytest.fixture
async def bench(redis_url: str, admin: "Redis") -> AsyncIterator[Bench]:
    admin.flushall()
    allow(admin)
    url = redis_url.replace("unix://", f"unix://{USER}:{SECRET}@")
    store = Store(url, keep=Retention(waiting=2))
    await store.connection.synchronise()
    yield Bench(store, admin)
    await store.close()


def allow(admin: "Redis", *rules: str) -> None:
    """Give the user of the store all rights, then these rules."""
    admin.execute_command(
        "ACL", "SETUSER", USER, "reset", "on", f">{SECRET}", "~*", "+@all", *rules
    )


@contextmanager
def denied(admin: "Redis", command: str) -> Iterator[None]:
    allow(admin, f"-{command}")
    yield
    allow(admin)


@contextmanager
def bound(admin: "Redis", command: str) -> Iterator[None]:
    """Allow a command on other keys only."""
    allow(admin, f"-{command}", f"(+{command} ~other:*)")
    yield
    allow(admin)


@contextmanager
def out_of_reach(admin: "Redis", family: str) -> Iterator[None]:
    """Deny the keys of one row of the table."""
    allow(admin, "resetkeys", *(f"~{{rb:0}}:{f}*" for f in FAMILIES if f != family), "~rb:*")
    yield
    allow(admin)


@contextmanager
def set_aside(admin: "Redis", key: str, kind: str) -> Iterator[None]:
    """Put a value of another type in the place of a key."""
    there = admin.exists(key)
    if there:
        admin.rename(key, "aside")
    if kind == "list":
        admin.hset(key, "not", "ours")
    else:
        admin.rpush(key, "not ours")
    yield
    admin.delete(key)
    if there:
        admin.rename("aside", key)


@contextmanager
def configured(admin: "Redis", name: str, value: str) -> Iterator[None]:
    admin.config_set(name, value)
    yield
    admin.config_set(name, 0)


FAMILIES = (
    *("job:", "history:", "answer:", "jobs", "group:", "members:", "groups"),
    *("seen:", "event:", "log", "subs", "callback:"),
    *(
        "delivered:",
        "dead:",
        "delivered_ids:",
        "failure_scores",
        "bucket:",
        "waited:",
        "lanes:",
        "due:",
        "retries:",
        "claimed:",
        "items:",
    ),
    *("order:", "overflow", "paused:", "rate_limit:", "nudge:", "busy:"),
)


async def undisturbed(bench: Bench, world: World, operation: Operation) -> tuple[Any, set[str]]:
    """What an operation is given, and the commands that it runs; Redis stays as it left it."""
    given = await operation.prepare(bench)
    world.remember()
    for _ in range(2):  # the first call sends the text of the script
        world.restore()
        bench.admin.config_resetstat()
        await operation.act(bench, given, list(range(operation.parts)))
    stats = bench.admin.info("commandstats")
    return given, {name.removeprefix("cmdstat_") for name in stats} - HARNESS


def failed(done: list[Outcome] | None) -> list[int]:
    return [n for n, row in enumerate(done or []) if isinstance(row, WrongKeyType)]


async def disturbed(
    bench: Bench, world: World, operation: Operation, given: Any, cause: Any
) -> Unavailable | list[int]:
    """Run an operation under a cause, then repeat what failed; returns the first error."""
    world.restore()
    before, parts = world.look(), list(range(operation.parts))
    error: Unavailable | None = None
    with cause:
        try:
            parts = failed(await operation.act(bench, given, parts))
        except Unavailable as raised:
            error = raised
    if error and operation.atomic:
        assert world.look() == before, "half written"
    if parts and (error or parts):
        assert not failed(await operation.act(bench, given, parts)), "not written the second time"
    return error or parts


def commands_of(store: Store, script: str | None) -> set[str]:
    """The commands that a script says that it runs."""
    if script is None:
        return set()
    text = store.connection.scripts[script].text.rpartition("\nlocal function prove")[2]
    last = re.findall(r"^(?:prove|prove_each|may)\(?(?:'|\[\[)([A-Z\s]*)", text, re.MULTILINE)[-1]
    return {word.lower() for word in last.split()}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_denied_command_leaves_nothing_half_written(
    name: str, bench: Bench, admin: "Redis"
):
    world, operation = World(admin), OPERATIONS[name]
    given, commands = await undisturbed(bench, world, operation)
    after = world.look()
    proved = commands_of(bench.store, operation.script)
    for command in sorted(commands | proved):
        error = await disturbed(bench, world, operation, given, denied(admin, command))
        assert isinstance(error, MissingPermission) or command in NEED_NOT, command
        assert error == [] or command.partition("|")[0] in str(error).lower()
        assert world.look() == after, command


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_command_allowed_on_other_keys_only_leaves_nothing_half_written(
    name: str, bench: Bench, admin: "Redis"
):
    world, operation = World(admin), OPERATIONS[name]
    given, _ = await undisturbed(bench, world, operation)
    after = world.look()
    command = max(commands_of(bench.store, operation.script) - {"time"})  # one is enough
    error = await disturbed(bench, world, operation, given, bound(admin, command))
    assert isinstance(error, MissingPermission), command
    assert world.look() == after, command


@pytest.mark.parametrize("name", SCRIPTS)
async def test_keys_that_are_denied_leave_nothing_half_written(
    name: str, bench: Bench, admin: "Redis"
):
    world, operation = World(admin), OPERATIONS[name]
    given, _ = await undisturbed(bench, world, operation)
    after = world.look()
    met = [family for family in FAMILIES if any(f"}}:{family}" in key for key in after)]
    for family in met:
        error = await disturbed(bench, world, operation, given, out_of_reach(admin, family))
        assert error == [] or isinstance(error, MissingPermission), family
        assert world.look() == after, family


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_key_of_another_type_leaves_nothing_half_written(
    name: str, bench: Bench, admin: "Redis", documented_keys: Any
):
    world, operation = World(admin), OPERATIONS[name]
    given, _ = await undisturbed(bench, world, operation)
    after = world.look()
    world.restore()
    met = 0
    for key in sorted({*after, *world.look(), *always(bench.keys)}):
        kind = next(row.type for row in documented_keys if row.pattern.fullmatch(key))
        error = await disturbed(bench, world, operation, given, set_aside(admin, key, kind))
        assert world.look() == after, key
        if isinstance(error, Unavailable):
            assert key in str(error)
            assert isinstance(error, StoreUnavailable | WrongKeyType)
            assert not isinstance(error, MissingPermission)
        met += bool(error)
    assert met or name in TYPELESS


def always(keys: Keys) -> set[str]:
    """Keys that are used even if they do not exist before or after."""
    found = {keys.jobs, keys.log, keys.trimmed, keys.subs, keys.subs_version, keys.overflow}
    for backlog in ("ingest", "poll", "deliver"):
        found |= {keys.busy[backlog], keys.nudge[backlog], keys.lanes[backlog], keys.items[backlog]}
        found |= {keys.paused[backlog], keys.rate_limit[backlog]}
    return found


@pytest.mark.parametrize(("setting", "value"), [("maxmemory", "1"), ("min-replicas-to-write", "1")])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_redis_that_refuses_writes_leaves_nothing_half_written(
    name: str, setting: str, value: str, bench: Bench, admin: "Redis"
):
    world, operation = World(admin), OPERATIONS[name]
    given, _ = await undisturbed(bench, world, operation)
    after = world.look()
    await disturbed(bench, world, operation, given, configured(admin, setting, value))
    assert world.look() == after


def test_every_script_is_in_the_table(bench: Bench):
    assert {one.script for one in OPERATIONS.values()} - {None} == set(
        bench.store.connection.scripts
    )
