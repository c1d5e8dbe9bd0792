"""The event log: in order, by cursor, with an error for trimmed events."""

import asyncio
from typing import Any

import pytest

from processor.errors import CursorExpired, RequestError
from processor.model import Retention
from processor.store import Store, events as log_events
from processor.store.change import Change, NewEvent
from processor.store.events import LoggedEvent
from processor.store.jobs import name_of
from processor.store.keys import Keys
from processor.store.stream_ids import BEGIN, position_at

WEEK = 7 * 86_400.0


@pytest.fixture
def publish(store: Store, job_of: Any) -> Any:
    """Publish events by name."""

    async def log(*names: str, on: Store = store, shard: int = 0) -> None:
        for name in names:
            event = NewEvent(name, "job.started", f'"{name}"'.encode(), ())
            change = Change(job_of("j"), "", save=False, events=[event])
            assert await on.jobs.commit(on.shards[shard], "0", [change]) == [True]

    return log


def ids(events: list[LoggedEvent]) -> list[str]:
    return [event.id for event in events]


async def pages(store: Store, limit: int) -> list[str]:
    """All events, read page by page by cursor."""
    found, positions = [], store.events.start()
    while page := await store.events.page(positions, limit):
        found += ids(page)
        positions = store.events.read_cursor(page[-1].cursor)
    return found


async def test_events_are_read_in_order_and_in_pages(store: Store, publish: Any):
    names = [f"e{n}" for n in range(7)]
    await publish(*names)
    assert await pages(store, 3) == names
    (first, *_) = await store.events.page(store.events.start(), 1)
    assert (first.type, first.body) == ("job.started", b'"e0"')


async def test_fewer_large_events_are_read_at_once(
    store: Store, publish: Any, monkeypatch: pytest.MonkeyPatch
):
    """Redis counts an answer as memory, so a page of large events would have pushes refused."""
    monkeypatch.setattr(log_events, "PIECE", 1000)
    names = [f"e{n}{'x' * 300}" for n in range(7)]
    await publish(*names)
    assert await pages(store, 100) == names  # the first answer shows how large they are
    assert ids(await store.events.page(store.events.start(), 100)) == names[:3]
    newest, positions = await store.events.page_back(None, 100)
    assert ids(newest) == names[:3:-1]
    assert ids((await store.events.page_back(positions, 100))[0]) == names[3:0:-1]
    assert await pages(store, 100) == names


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_shards_are_read_as_one_log_without_loss(store_of: Any, publish: Any, limit: int):
    store = store_of(shards=3)
    for n in range(12):
        await publish(f"e{n}", on=store, shard=n * 7 % 3)
    found = await pages(store, limit)
    assert sorted(found) == sorted(f"e{n}" for n in range(12))
    for shard in range(3):  # order holds within a shard, and so within a job
        ours = [f"e{n}" for n in range(12) if n * 7 % 3 == shard]
        assert [name for name in found if name in ours] == ours


async def test_following_starts_at_the_end_and_waits(store: Store, publish: Any):
    await publish("old")
    positions, deletions = await store.events.end(), store.events.start()
    waiting = asyncio.create_task(store.events.follow(positions, deletions, 9, 5.0))
    await publish("new")
    (event,), _ = await waiting
    assert event.id == "new"
    after = store.events.read_cursor(event.cursor)
    assert await store.events.follow(after, deletions, 9, 0.01) == ([], [])


async def test_followers_learn_of_deletions(store: Store, keys: Keys, job_of: Any):
    job, end, deletions = job_of("1"), await store.events.end(), store.events.start()
    change = Change(job, "", save=True, renew=True)
    assert await store.jobs.commit(keys, "0", [change]) == [True]
    (found,) = await store.jobs.read(keys, [name_of(job)])
    waiting = asyncio.create_task(store.events.follow(end, deletions, 9, 5.0))
    assert await store.jobs.delete(keys, job, found.version)
    assert await waiting == ([], [job.uid])
    assert await store.events.follow(end, deletions, 9, 0.01) == ([], [])


async def test_all_deletions_of_the_last_two_minutes_are_kept_and_no_older_ones(
    store: Store, keys: Keys, job_of: Any
):
    """However many there are: somebody may wait for each of these jobs."""
    job, now = job_of("1"), int(await store.now() * 1000)
    assert await store.jobs.commit(keys, "0", [Change(job, "", save=True, renew=True)]) == [True]
    (found,) = await store.jobs.read(keys, [name_of(job)])
    pipe = store.connection.redis.pipeline()
    for age in (600_000, 60_000):  # ms
        for n in range(2_000):
            pipe.xadd(keys.deletions, {"uid": f"{age}"}, id=f"{now - age}-{n + 1}")
    await pipe.execute()
    assert await store.jobs.delete(keys, job, found.version)
    kept = [row[b"uid"] for _, row in await store.connection.redis.xrange(keys.deletions)]
    assert kept.count(b"60000") == 2_000
    assert kept.count(b"600000") < 200  # Redis removes them by whole nodes
    assert kept[-1] == job.uid.encode()


async def test_following_several_shards_never_skips_one(store_of: Any, publish: Any):
    store = store_of(shards=3)
    positions, deletions, found = await store.events.end(), store.events.start(), []
    for n in range(9):
        await publish(f"e{n}", on=store, shard=n % 3)
    while events := (await store.events.follow(positions, deletions, 9, 0.01))[0]:
        found += ids(events)
        positions = store.events.read_cursor(events[-1].cursor)
    assert sorted(found) == [f"e{n}" for n in range(9)]


async def test_an_event_is_after_a_position_or_not(store: Store, publish: Any):
    await publish("a", "b", "c")
    a, b, c = await store.events.page(store.events.start(), 10)
    positions = store.events.read_cursor(b.cursor)
    assert [store.events.is_after(event, positions) for event in (a, b, c)] == [False, False, True]


async def test_a_reader_ahead_of_the_follower_stays_ahead_in_every_cursor(
    store_of: Any, publish: Any
):
    """Otherwise a cursor would point before events that were read, and return them twice."""
    store = store_of(shards=2)
    follower = await store.events.end()
    await publish("b1", "b2", on=store, shard=1)
    positions = store.events.read_cursor((await store.events.page(follower, 2))[-1].cursor)
    await publish("a", on=store, shard=0)
    followed, _ = await store.events.follow(follower, store.events.start(), 9, 0.01)
    assert ids(followed) == ["a", "b1", "b2"]
    (fresh,) = store.events.unread(followed, positions)
    assert fresh.id == "a"
    assert ids(await store.events.page(store.events.read_cursor(followed[0].cursor), 9)) == [
        "b1",
        "b2",
    ]
    assert await store.events.page(store.events.read_cursor(fresh.cursor), 9) == []
    assert fresh.cursor == followed[-1].cursor


# --- cursors ------------------------------------------------------------------------------

GOOD = "MC0w"  # 0-0


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "!!!!", "MC0", "LTEtMA", "MC0w,MC0w", "YWJj", "A" * 10_000]
)
async def test_an_invalid_cursor_is_refused(store: Store, cursor: str):
    with pytest.raises(RequestError):
        store.events.read_cursor(cursor)


async def test_a_cursor_of_another_number_of_shards_is_refused(store: Store, store_of: Any):
    assert store.events.read_cursor(GOOD) == ["0-0"]
    with pytest.raises(RequestError, match="shards"):
        store_of(shards=2).events.read_cursor(GOOD)


async def test_a_cursor_is_decoded_to_the_positions_that_it_encodes(store_of: Any):
    events = store_of(shards=2).events
    positions = ["1795341600000-3", "0-0"]
    assert events.read_cursor(events.cursor(positions)) == positions


# --- trimming -----------------------------------------------------------------------------


async def aged(store: Store, keys: Keys, *days: float) -> list[str]:
    """Events of so many days ago, the oldest first; their positions."""
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


async def test_the_sweep_trims_events_older_than_a_week(store: Store, keys: Keys):
    many = sorted((8 + n / 1000 for n in range(1000)), reverse=True)
    *_, young = await aged(store, keys, *many, 6)
    await store.events.trim(await store.now())
    assert [e.position for e in await store.events.page(store.events.start(), 10_000)] == [young]


async def test_the_sweep_trims_events_beyond_the_maximum(store: Store, keys: Keys, few: int):
    made = await aged(store, keys, *range(6, 0, -1))
    await store.events.trim(await store.now())
    assert [e.position for e in await store.events.page(store.events.start(), 10)] == made[-few:]


async def test_a_commit_trims_nothing(store: Store, publish: Any, few: int):
    """Only the script that notes the newest trimmed event may trim; otherwise gaps are missed."""
    names = [f"e{n}" for n in range(3 * few)]
    await publish(*names)
    assert await pages(store, 100) == names


@pytest.fixture
def few(store: Store, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many events the log keeps, in tests that publish more."""
    monkeypatch.setattr(store.events, "_keep", Retention(events_count=3))
    return 3


async def gone(store: Store, positions: list[str]) -> list[bool]:
    """For each position in the first shard, whether it has expired."""
    found = []
    for position in positions:
        try:
            await store.events.check([position])
        except CursorExpired:
            found.append(True)
        else:
            found.append(False)
    return found


TRIMS = [
    ("nothing", [6, 5, 4], 0),
    ("the old ones", [10, 9, 8, 1], 3),
    ("all", [10, 9, 8], 3),
    ("those that are too many", [6, 5, 4, 3, 2], 2),
    ("old ones, which leaves just enough", [9, 8, 3, 2, 1], 2),
    ("old ones and then still too many", [9, 8, 5, 4, 3, 2, 1], 4),
]


@pytest.mark.parametrize(("days", "trimmed"), [r[1:] for r in TRIMS], ids=[r[0] for r in TRIMS])
async def test_a_cursor_has_expired_exactly_if_events_after_it_were_trimmed(
    store: Store, keys: Keys, few: int, days: list[float], trimmed: int
):
    """A reader of the newest trimmed event missed nothing; a reader of the one before it did."""
    made = await aged(store, keys, *days)
    for _ in range(2):  # the second time nothing is trimmed
        await store.events.trim(await store.now())
        left = await store.events.page(store.events.start(), 100)
        assert [event.position for event in left] == made[trimmed:]
        assert await gone(store, made) == [n < trimmed - 1 for n in range(len(made))]


async def test_a_cursor_has_expired_even_if_no_event_followed(store: Store, keys: Keys):
    """Otherwise its reader would wait, as if it had read everything."""
    old, *_ = await aged(store, keys, 10, 9)
    await store.events.trim(await store.now())
    with pytest.raises(CursorExpired, match="trimmed"):
        await store.events.check([old])


async def test_a_later_trim_moves_the_gap_forward_only(store: Store, keys: Keys, few: int):
    made = await aged(store, keys, 9, 8, 6, 5, 4, 3)
    now = await store.now()
    await store.events.trim(now)
    assert await gone(store, made) == [True, True, False, False, False, False]
    await store.events.trim(now + 2.5 * 86_400)  # now those of six and five days are too old
    assert await gone(store, made) == [True, True, True, False, False, False]
    await store.events.trim(now)
    assert await gone(store, made) == [True, True, True, False, False, False]


async def test_a_cursor_that_missed_nothing_is_valid(store: Store, keys: Keys):
    """A reader keeps its position during a week without events."""
    _, read, _ = await aged(store, keys, 10, 9, 1)
    await store.events.trim(await store.now())
    await store.events.check([read])


async def test_the_first_position_never_expires(store: Store, keys: Keys):
    await aged(store, keys, 10, 1)
    await store.events.trim(await store.now())
    await store.events.check(store.events.start())


async def test_a_gap_in_one_shard_is_a_gap(store_of: Any):
    store = store_of(shards=3)
    (_, old, new), (*_, other) = [await aged(store, k, 10, 9, 8) for k in store.shards[1:]]
    await store.events.trim(await store.now())
    await store.events.check([BEGIN, new, other])
    with pytest.raises(CursorExpired, match="trimmed"):
        await store.events.check([BEGIN, old, other])


async def test_a_cursor_ahead_of_the_log_has_expired(store_of: Any):
    """Redis lost events: the reader would skip new ones until the log is as long again."""
    store = store_of(shards=2)
    first, last = await aged(store, store.shards[1], 2, 1)
    await store.events.check([BEGIN, last])
    await store.connection.redis.xtrim(store.shards[1].log, maxlen=0)  # trimmed by age, not lost
    await store.events.check([BEGIN, last])
    await store.connection.redis.delete(store.shards[1].log)
    for position in (first, last):
        with pytest.raises(CursorExpired, match="lost"):
            await store.events.check([BEGIN, position])
        with pytest.raises(CursorExpired, match="lost"):
            await store.events.check([position, BEGIN])
    await store.events.check(store.events.start())
    await store.events.check([position_at(4e9)] * 2)  # a replay's position, made from a time
