"""The list of jobs, page by page, over one shard and over several, while jobs come and go."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from .calling import Web, refused

JOBS = "/v1/jobs"
BOTH = pytest.mark.parametrize("shards", [1, 4])


async def watch(web: Web, *names: str, hours: int = 1, **more: Any) -> None:
    for name in names:
        body = {"deadline": f"{hours}h", **more}
        assert (await web("PUT", f"{JOBS}/feed/{name}", body)).status_code == 201


async def expire_together(web: Web, *names: str) -> None:
    """As jobs do that are committed together."""
    store = web.context.store
    for name in names:
        await store.connection.redis.zadd(store.shard("feed", name).jobs, {f"feed/{name}": 4e12})


async def pages(web: Web, limit: int, between: Callable[[list[str]], Any]) -> list[str]:
    """The ids of all pages; `between` is awaited after each with its ids."""
    found: list[str] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = (await web("GET", JOBS, params=query)).json()
        ids = [job["id"] for job in page["items"]]
        found += ids
        await between(ids)
        if not page["next"]:
            return found
        query["cursor"] = page["next"]


@BOTH
async def test_a_walk_that_deletes_what_it_is_shown_is_shown_every_job(
    web_of: Any, shards: int
) -> None:
    web = await web_of(RINGBACK_SHARDS=str(shards))
    names = [f"j{n:02}" for n in range(40)]
    await watch(web, *names)
    await expire_together(web, *names[:30])

    async def delete(ids: list[str]) -> None:
        for name in ids:
            assert (await web("DELETE", f"{JOBS}/feed/{name}")).status_code == 204

    assert sorted(await pages(web, 7, delete)) == names
    assert await web.items(JOBS) == []


@BOTH
async def test_a_walk_lists_each_job_that_stays_where_it_is_once(web_of: Any, shards: int) -> None:
    web = await web_of(RINGBACK_SHARDS=str(shards))
    names = [f"j{n:02}" for n in range(0, 60, 2)]
    moved = [f"m{n}" for n in range(20)]
    await watch(web, *names, *moved)
    await expire_together(web, *names[:20])
    turn = iter(range(1, 60, 2))

    async def disturb(_: list[str]) -> None:
        new = f"j{next(turn):02}"
        await watch(web, new)
        await expire_together(web, new, *moved[:1])
        await web("DELETE", f"{JOBS}/feed/{moved.pop()}")

    found = await pages(web, 5, disturb)
    assert sorted(name for name in found if name in names) == names


@BOTH
@pytest.mark.parametrize("limit", [1, 4, 50])
async def test_jobs_are_listed_with_the_latest_deadline_first(
    web_of: Any, shards: int, limit: int
) -> None:
    web = await web_of(RINGBACK_SHARDS=str(shards))
    hours = [n * 7 % 12 + 1 for n in range(12)]  # each from 1 to 12 once, in another order
    for hour in hours:
        await watch(web, f"j{hour}", hours=hour, metadata={"even": hour % 2 == 0})
    found = [job["id"] for job in await web.items(JOBS, limit=limit)]
    assert found == [f"j{hour}" for hour in range(12, 0, -1)]
    found = [job["id"] for job in await web.items(JOBS, limit=limit, metadata="even:true")]
    assert found == [f"j{hour}" for hour in range(12, 0, -2)]
    for hour in (3, 8):
        await web.push(f"j{hour}", "running")
    running = await web.items(JOBS, limit=limit, state="running", source="feed")
    assert [job["id"] for job in running] == ["j8", "j3"]


@pytest.mark.parametrize("cursor", ["0.+inf.0", "1.1767182400000.3", "!", "WzEsMl0"])
async def test_a_cursor_of_another_form_is_refused(web: Web, cursor: str) -> None:
    """Also that of an earlier version, which counted jobs."""
    said = refused(await web("GET", JOBS, params={"cursor": cursor}), 400)
    assert "start again without it" in said


@pytest.mark.parametrize("key", ['[-1e308,"x"]', '[1e308,""]', '[-1.5,"\\u0000"]', '[2,"feed/1"]'])
async def test_a_made_up_cursor_lists_nothing_wrong(web: Web, key: str) -> None:
    await watch(web, "1")
    await web("POST", "/v1/groups", {"id": "g", "jobs": ["feed/1"]})
    cursor = base64.urlsafe_b64encode(key.encode()).decode()
    for more in ({}, {"group": "g"}):
        assert len((await web("GET", JOBS, params={"cursor": cursor, **more})).json()["items"]) <= 1
