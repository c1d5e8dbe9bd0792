"""The list of groups: in order, whatever the shards, the piece and the times at which they expire."""

from math import inf
from typing import Any

import pytest


@pytest.mark.parametrize("count", [1, 2, 5, 50])
@pytest.mark.parametrize("shards", [1, 3])
async def test_the_groups_after_each_one_are_listed_in_order(
    store_of: Any, shards: int, count: int
):
    store = store_of(shards=shards)
    rows = sorted((-float(n // 10), f"g{n}") for n in range(30))
    for ends, name in rows:
        await store.connection.redis.zadd(store.groups.shard(name).groups, {name: -ends})
    for place, after in enumerate([(-inf, ""), *rows]):
        found = await store.groups.listed(after, count)
        assert found[:count] == rows[place:][:count]
