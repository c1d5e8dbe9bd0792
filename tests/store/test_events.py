"""The event log: in order, by cursor, and honest about what was trimmed."""

import asyncio
from typing import Any

import pytest

from processor.errors import Gone, Refused
from processor.store import Store
from processor.store.events import Logged
from processor.store.jobs import Change, Telling
from processor.store.keys import Keys

WEEK = 7 * 86_400.0


@pytest.fixture
def tell(store: Store, job_of: Any) -> Any:
    """Log events by name."""

    async def log(*names: str, on: Store = store, shard: int = 0) -> None:
        for name in names:
            event = Telling(name, "job.started", f'"{name}"'.encode(), ())
            change = Change(job_of("j"), "", save=False, events=[event])
            assert await on.jobs.commit(on.shards[shard], 0, [change]) == [True]

    return log


def ids(events: list[Logged]) -> list[str]:
    return [event.id for event in events]


async def pages(store: Store, limit: int) -> list[str]:
    """All events, read page by page by cursor."""
    found, places = [], store.events.start()
    while page := await store.events.page(places, limit):
        found += ids(page)
        places = store.events.places(page[-1].cursor)
    return found


async def test_events_are_read_in_order_and_in_pages(store: Store, tell: Any):
    names = [f"e{n}" for n in range(7)]
    await tell(*names)
    assert await pages(store, 3) == names
    (first, *_) = await store.events.page(store.events.start(), 1)
    assert (first.type, first.body) == ("job.started", b'"e0"')


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_shards_are_read_as_one_log_without_loss(store_of: Any, tell: Any, limit: int):
    store = store_of(shards=3)
    for n in range(12):
        await tell(f"e{n}", on=store, shard=n * 7 % 3)
    found = await pages(store, limit)
    assert sorted(found) == sorted(f"e{n}" for n in range(12))
    for shard in range(3):  # order holds within a shard, and so within a job
        ours = [f"e{n}" for n in range(12) if n * 7 % 3 == shard]
        assert [name for name in found if name in ours] == ours


async def test_following_starts_at_the_end_and_waits(store: Store, tell: Any):
    await tell("old")
    places = await store.events.end()
    waiting = asyncio.create_task(store.events.follow(places, 5.0))
    await tell("new")
    (event,) = await waiting
    assert event.id == "new"
    assert await store.events.follow(store.events.places(event.cursor), 0.01) == []


async def test_following_several_shards_never_skips_one(store_of: Any, tell: Any):
    store = store_of(shards=3)
    places, found = await store.events.end(), []
    for n in range(9):
        await tell(f"e{n}", on=store, shard=n % 3)
    while events := await store.events.follow(places, 0.01):
        found += ids(events)
        places = store.events.places(events[-1].cursor)
    assert sorted(found) == [f"e{n}" for n in range(9)]


async def test_an_event_is_behind_a_place_or_is_not(store: Store, tell: Any):
    await tell("a", "b", "c")
    a, b, c = await store.events.page(store.events.start(), 10)
    places = store.events.places(b.cursor)
    assert [store.events.behind(event, places) for event in (a, b, c)] == [False, False, True]


# --- cursors ------------------------------------------------------------------------------

GOOD = "MC0w"  # 0-0


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "!!!!", "MC0", "LTEtMA", "MC0w,MC0w", "YWJj", "A" * 10_000]
)
async def test_a_cursor_that_is_none_of_ours_is_refused(store: Store, cursor: str):
    with pytest.raises(Refused):
        store.events.places(cursor)


async def test_a_cursor_of_another_number_of_shards_is_refused(store: Store, store_of: Any):
    assert store.events.places(GOOD) == ["0-0"]
    with pytest.raises(Refused, match="shards"):
        store_of(shards=2).events.places(GOOD)


async def test_cursors_survive_the_way_out_and_back(store_of: Any):
    events = store_of(shards=2).events
    places = ["1795341600000-3", "0-0"]
    assert events.places(events.cursor(places)) == places


# --- trimming -----------------------------------------------------------------------------


async def aged(store: Store, keys: Keys, *days: float) -> list[str]:
    """Events of so many days ago, the oldest first; their places."""
    now = await store.now()
    fields: Any = {"id": "e", "type": "job.started", "body": "{}"}
    return [
        (
            await store.connection.redis.xadd(
                keys.log, fields, id=f"{int((now - d * 86_400) * 1000)}"
            )
        ).decode()
        for d in days
    ]


async def test_the_sweep_trims_what_is_older_than_a_week(store: Store, keys: Keys):
    many = sorted((8 + n / 1000 for n in range(1000)), reverse=True)
    await aged(store, keys, *many, 6)
    await store.jobs.sweep(await store.now())
    left = await store.events.page(store.events.start(), 10_000)
    assert 1 <= len(left) <= 101  # whole nodes of a hundred
    assert ids(left)[-1:] == ["e"]


async def test_a_cursor_before_what_was_trimmed_is_gone(store: Store, keys: Keys):
    old, _, _, new = await aged(store, keys, 10, 9, 8, 1)
    await store.connection.redis.xtrim(keys.log, minid=new, approximate=False)
    with pytest.raises(Gone, match="trimmed"):
        await store.events.check([old])


async def test_the_oldest_place_is_never_gone(store: Store, keys: Keys):
    *_, new = await aged(store, keys, 10, 1)
    await store.connection.redis.xtrim(keys.log, minid=new, approximate=False)
    await store.events.check(store.events.start())


async def test_a_cursor_that_missed_nothing_is_good(store: Store, keys: Keys):
    """A quiet week must cost no reader its place."""
    _, read, new = await aged(store, keys, 10, 9, 1)
    await store.connection.redis.xtrim(keys.log, minid=new, approximate=False)
    await store.events.check([read])


async def test_a_cursor_is_gone_also_when_nothing_came_since(store: Store, keys: Keys):
    """Otherwise its reader would wait, and believe that it had read everything."""
    old, *_ = await aged(store, keys, 10, 9)
    await store.connection.redis.xtrim(keys.log, maxlen=0, approximate=False)
    with pytest.raises(Gone):
        await store.events.check([old])
