"""The lists of jobs and groups: in order, whatever the shards, the piece and the times."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from processor.store import Store
from processor.store.expiry_list import START, Position
from processor.store.keys import Keys

LISTS: Mapping[str, Callable[[Store, str], tuple[Keys, str]]] = {
    "groups": lambda store, name: (store.groups.shard(name), name),
    "jobs": lambda store, name: (store.shard("s", name), f"s/{name}"),
}
SAME_TIME = 10  # rows that expire at the same time


async def add(store: Store, kind: str, name: str, score: float) -> Position:
    keys, row = LISTS[kind](store, name)
    await store.connection.redis.zadd(getattr(keys, kind), {row: score})
    return -score, row


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("count", [1, 2, 5, 50])
@pytest.mark.parametrize("shards", [1, 3])
async def test_what_follows_each_row_is_listed_in_order(
    store_of: Any, kind: str, shards: int, count: int
):
    store = store_of(shards=shards)
    names = [f"ä{n:02}" for n in range(30)]
    rows = [await add(store, kind, name, n // SAME_TIME) for n, name in enumerate(names)][::-1]
    for place, after in enumerate([START, *rows]):
        assert await getattr(store, kind).listed(after, count) == rows[place:][:count]


@pytest.mark.parametrize("kind", LISTS)
async def test_the_list_continues_after_a_row_that_is_gone(store_of: Any, kind: str):
    store = store_of(shards=3)
    rows = [await add(store, kind, f"n{n}", 7) for n in range(9)][::-1]
    for after in rows[:4]:
        keys, row = LISTS[kind](store, after[1].removeprefix("s/"))
        await store.connection.redis.zrem(getattr(keys, kind), row)
    assert await getattr(store, kind).listed(rows[3], 50) == rows[4:]


async def test_a_list_reads_no_more_than_its_piece_and_what_expires_at_the_same_time(
    store_of: Any,
):
    store = store_of(shards=2)
    for n in range(300):
        await add(store, "jobs", f"n{n}", n)
    before = await store.connection.redis.info("stats")
    assert len(await store.jobs.listed((-250.0, "s/n250"), 10)) == 10
    after = await store.connection.redis.info("stats")
    assert after["total_net_output_bytes"] - before["total_net_output_bytes"] < 12_000
