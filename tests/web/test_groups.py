"""/v1/groups and /v1/wait: every status, over HTTP; and lists of jobs by metadata and group."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from processor.group import MAX_MEMBERS
from processor.store.groups import Groups

from .calling import BEARER, Served, Web, refused
from .pushing import SECRET
from .test_jobs import BAD_IDS, GOOD_IDS

GROUPS, G, WAIT = "/v1/groups", "/v1/groups/g", "/v1/wait"
COUNTS = {"total": 0, "pending": 0, "succeeded": 0, "failed": 0, "canceled": 0, "expired": 0}
BIG = {"a": "x" * 70_000}
BAD_GROUPS: list[tuple[Any, str]] = [
    ({"jobs": []}, "open"),
    ({}, "open"),
    ({"jobs": ["feed/1"], "colour": "red"}, "colour"),
    ({"jobs": ["feed/1"], "policy": "first"}, "policy"),
    ({"jobs": ["feed/1"], "id": ""}, "id"),
    ({"jobs": ["feed/1"], "id": ".."}, "id"),
    ({"jobs": ["feed/1"], "metadata": []}, "metadata"),
    ({"jobs": ["feed/1"], "deadline": "soon"}, "deadline"),
    ({"jobs": ["feed/1"], "callback_url": "https://a.example/"}, "RINGBACK_CALLBACK_SECRET"),
    ({"jobs": ["feed/1", "feed/1", "feed"]}, "jobs[2]"),
    ({"jobs": ["feed/1", "nowhere/2"]}, "jobs[1]"),
    ({"jobs": ["feed/1", "feed/.."]}, "jobs[1]"),
    ({"jobs": ["feed/1", {"source": "feed", "id": "2", "deadline": "soon"}]}, "jobs[1]"),
    ({"jobs": ["feed/1", {"source": "feed", "id": "2", "colour": 1}]}, "jobs[1]"),
    ({"jobs": ["feed/1", {"source": "feed"}]}, "jobs[1]"),
    ({"jobs": ["feed/1", {"source": "feed", "id": "1", "metadata": {"a": 1}}]}, "jobs[1]"),
    ({"jobs": ["feed/1", "feed/1", {"source": "wistia", "id": "media:.."}]}, "jobs[2]"),
    ({"jobs": ["feed/1", "feed/1", {"source": "feed", "id": "2", "metadata": BIG}]}, "jobs[2]"),
    ({"jobs": [f"feed/{n}" for n in range(MAX_MEMBERS + 1)]}, str(MAX_MEMBERS)),
]


async def test_a_post_makes_a_group_once(web: Web) -> None:
    body = {"id": "g", "jobs": ["feed/1", {"source": "asked", "id": "2", "metadata": {"a": 1}}]}
    body |= {"metadata": {"batch": 7}}
    first = await web("POST", GROUPS, body)
    again = await web("POST", GROUPS, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json() == (await web("GET", G)).json()
    assert first.json() | {"created_at": 0} == {
        "id": "g",
        "state": "running",
        "policy": "all",
        "open": False,
        "counts": COUNTS | {"total": 2, "pending": 2},
        "metadata": {"batch": 7},
        "created_at": 0,
        "finished_at": None,
    }
    assert (await web("GET", "/v1/jobs/asked/2")).json()["metadata"] == {"a": 1}


async def test_an_id_is_drawn(web: Web) -> None:
    made = [(await web("POST", GROUPS, {"jobs": ["feed/1"]})).json()["id"] for _ in range(2)]
    assert made[0] != made[1]


async def test_another_group_under_an_id_is_409(web: Web) -> None:
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1"]})
    answer = await web("POST", GROUPS, {"id": "g", "jobs": ["feed/2"]})
    assert "'g'" in refused(answer, 409)


@pytest.mark.parametrize(("body", "named"), BAD_GROUPS)
async def test_an_invalid_group_is_422_and_nothing_is_watched(
    web: Web, body: Any, named: str
) -> None:
    assert named in refused(await web("POST", GROUPS, body), 422)
    assert await web.items("/v1/jobs") == await web.items(GROUPS) == []


async def test_a_body_may_have_four_mib(web: Web) -> None:
    note = "x" * 60_000
    jobs = [{"source": "feed", "id": str(n), "metadata": {"note": note}} for n in range(60)]
    assert (await web("POST", GROUPS, {"jobs": jobs})).status_code == 201
    refused(await web("POST", GROUPS, {"jobs": jobs + jobs}), 413)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", GROUPS), ("PUT", f"{G}/jobs/feed/1"), ("POST", WAIT)]
)
async def test_a_write_needs_json(web: Web, method: str, path: str) -> None:
    await web("POST", GROUPS, {"id": "g", "open": True})
    refused(await web(method, path, content=b"{}"), 415)
    json = {"content-type": "application/json"}
    refused(await web(method, path, content=b"{", headers=json), 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", G),
        ("DELETE", G),
        ("GET", f"{G}/jobs"),
        ("POST", f"{G}/close"),
        ("PUT", f"{G}/jobs/feed/1"),
        ("GET", f"{WAIT}?group=g"),
        ("GET", f"{WAIT}?job=feed/1"),
    ],
)
async def test_an_unknown_group_or_job_is_404(web: Web, method: str, path: str) -> None:
    refused(await web(method, path), 404)
    assert await web.items("/v1/jobs") == []


@pytest.mark.parametrize("raw", BAD_IDS)
async def test_a_bad_id_is_422(web: Web, raw: str) -> None:
    refused(await web("GET", f"{GROUPS}/{raw}"), 422)


@pytest.mark.parametrize("group", GOOD_IDS)
async def test_an_id_is_one_percent_encoded_segment(web: Web, group: str) -> None:
    """A group's id and a job's, which also name each other in Redis."""
    assert (await web("POST", GROUPS, {"id": group, "open": True})).status_code == 201
    path = f"{GROUPS}/{quote(group, safe='')}"
    added = await web("PUT", f"{path}/jobs/feed/{quote(group, safe='')}", {})
    assert added.json()["counts"]["total"] == 1
    await web("POST", f"{path}/close")
    await web.push(group, "succeeded")
    assert (await web("GET", path)).json()["state"] == "succeeded"
    assert await web.items(f"{path}/jobs") == [
        {"source": "feed", "id": group, "state": "succeeded"}
    ]
    waited = await web("GET", WAIT, params={"job": f"feed/{group}", "group": group})
    assert waited.json()["done"]


async def test_a_closed_group_takes_no_more_jobs(web: Web) -> None:
    await web("POST", GROUPS, {"id": "g", "open": True})
    for _ in range(2):
        assert (await web("PUT", f"{G}/jobs/feed/1")).status_code == 200
        assert not (await web("POST", f"{G}/close")).json()["open"]
    assert "closed" in refused(await web("PUT", f"{G}/jobs/feed/2", {}), 409)
    await web.push("1", "succeeded")
    assert "finished" in refused(await web("PUT", f"{G}/jobs/feed/2", {}), 409)
    assert (await web("PUT", f"{G}/jobs/feed/1", {})).status_code == 200
    assert "deadline" in refused(await web("PUT", f"{G}/jobs/feed/1", {"deadline": "x"}), 422)


async def test_a_deleted_group_is_gone_and_its_jobs_stay(web: Web) -> None:
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1"]})
    assert (await web("DELETE", G)).status_code == 204
    refused(await web("GET", G), 404)
    assert len(await web.items("/v1/jobs")) == 1
    assert await web.items(GROUPS) == []


async def test_groups_and_members_are_listed_page_by_page(web: Web) -> None:
    for n in range(5):
        await web("POST", GROUPS, {"id": f"g{n}", "jobs": ["feed/1"], "deadline": f"{n + 1}h"})
    listed = await web.items(GROUPS, limit=2)
    assert [group["id"] for group in listed] == ["g4", "g3", "g2", "g1", "g0"]
    await web("POST", GROUPS, {"id": "g", "jobs": [f"feed/{n}" for n in range(7)]})
    members = await web.items(f"{G}/jobs", limit=3)
    assert [member["id"] for member in members] == [str(n) for n in range(7)]
    assert {member["state"] for member in members} == {"pending"}
    refused(await web("GET", f"{GROUPS}?cursor=%21"), 400)
    refused(await web("GET", f"{G}/jobs?limit=0"), 422)


async def test_groups_that_expire_at_the_same_time_are_all_listed(web: Web) -> None:
    names = ["last", *(f"g{n}" for n in reversed(range(7))), "first"]
    for name in names:
        await web("POST", GROUPS, {"id": name, "jobs": ["feed/1"]})
    redis, (keys,) = web.context.store.connection.redis, web.context.store.shards
    await redis.zadd(keys.groups, dict.fromkeys(names, 2) | {"last": 3, "first": 1})
    for limit in (1, 2):
        assert [group["id"] for group in await web.items(GROUPS, limit=limit)] == names


async def test_the_event_goes_to_the_callback_and_to_who_names_it(web: Web, provider: Any) -> None:
    provider.tell("")
    for wanted in (["group.completed"], ["job.completed"]):
        url = f"{provider.url}/{wanted[0]}"
        await web("POST", "/v1/subscriptions", {"url": url, "events": wanted})
    back = {"callback_url": f"{provider.url}/back", "callback_secret": SECRET}
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1"], **back})
    await web.push("1", "failed")
    await web.deliver()
    paths = sorted(path for path, _ in provider.asked)
    assert paths == ["/back", "/group.completed", "/job.completed"]
    (event,) = [e for e in await web.items("/v1/events") if e["type"] == "group.completed"]
    assert event["id"].startswith("evt_g")
    assert event["id"].endswith("_final")
    assert event["data"] | {"created_at": 0, "finished_at": 0} == {
        "id": "g",
        "state": "failed",
        "policy": "all",
        "counts": COUNTS | {"total": 1, "failed": 1},
        "metadata": {},
        "created_at": 0,
        "finished_at": 0,
        "jobs": [{"source": "feed", "id": "1", "state": "failed"}],
        "jobs_truncated": False,
    }


# --- waits ------------------------------------------------------------------------------------


async def test_a_wait_ends_with_the_last_or_the_first(web: Web) -> None:
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1", "feed/2"]})
    query = f"{WAIT}?job=feed/1&job=feed/2&timeout=20"
    last = asyncio.create_task(web("GET", query))
    first = asyncio.create_task(web("POST", WAIT, {"jobs": ["feed/1", "feed/2"], "mode": "any"}))
    group = asyncio.create_task(web("GET", f"{G}?wait=20"))
    await web.push("2", "succeeded")
    found = (await first).json()
    assert found["done"]
    assert [job["state"] for job in found["jobs"]] == ["queued", "succeeded"]
    assert not last.done()
    assert not group.done()
    await web.push("1", "failed")
    found = (await last).json()
    assert (found["done"], set(found)) == (True, {"done", "jobs"})
    assert [job["state"] for job in found["jobs"]] == ["failed", "succeeded"]
    assert (await group).json()["state"] == "partial"


async def test_a_wait_whose_time_is_up_says_so(web: Web) -> None:
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1"]})
    found = await web("GET", f"{WAIT}?job=feed/1&group=g&timeout=0")
    assert found.status_code == 200
    assert not found.json()["done"]
    assert [job["id"] for job in found.json()["jobs"]] == ["1"]
    assert [group["id"] for group in found.json()["groups"]] == ["g"]
    assert (await web("GET", f"{G}?wait=0.1")).json()["state"] == "running"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?timeout=5",
        "?job=feed",
        "?job=feed/..",
        "?job=feed/1&mode=some",
        "?job=feed/1&timeout=61",
    ],
)
async def test_a_bad_wait_is_422(web: Web, query: str) -> None:
    refused(await web("GET", f"{WAIT}{query}"), 422)


@pytest.mark.parametrize(
    "body", [{}, {"jobs": ["feed/1"], "timeout": -1}, {"jobs": ["feed/1"], "mode": "one"}]
)
async def test_a_bad_body_of_a_wait_is_422(web: Web, body: Any) -> None:
    refused(await web("POST", WAIT, body), 422)


async def test_a_name_in_a_wait_is_split_at_its_first_slash(web: Web) -> None:
    await web("PUT", "/v1/jobs/feed/a%2Fb", {})
    found = await web("GET", f"{WAIT}?job=feed/a/b&timeout=0")
    assert found.json()["jobs"][0]["id"] == "a/b"


async def test_a_repeated_name_in_a_wait_counts_once(web: Web) -> None:
    """A body of 1 MiB would otherwise ask for 100,000 copies of a job with its result."""
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1"]})
    body = {"jobs": ["feed/1"] * 3, "groups": ["g"] * 3, "timeout": 0}
    for found in (
        await web("POST", WAIT, body),
        await web("GET", f"{WAIT}?job=feed/1&job=feed/1&group=g&group=g&timeout=0"),
    ):
        shown = found.json()
        assert ([job["id"] for job in shown["jobs"]], len(shown["groups"])) == (["1"], 1)


async def test_a_wait_for_many_jobs_leaves_room_for_other_requests(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads some at a time, and none after one that is unknown."""
    jobs, read, most = web.context.store.jobs, 0, 0
    find = jobs.find

    async def counted(*args: Any) -> Any:
        nonlocal read, most
        before, read = read, read + 1
        found = await find(*args)
        most = max(most, read - before)
        return found

    monkeypatch.setattr(jobs, "find", counted)
    names = [f"feed/{n}" for n in range(300)]
    refused(await web("POST", WAIT, {"jobs": names, "timeout": 0}), 404)
    assert read <= 50
    await web("POST", GROUPS, {"id": "g", "jobs": names})
    most = 0
    found = await web("POST", WAIT, {"jobs": names, "timeout": 0})
    assert [f"feed/{job['id']}" for job in found.json()["jobs"]] == names
    assert 0 < most <= 50


async def test_two_hundred_jobs_in_one_wait(served: Served) -> None:
    jobs = [f"feed/{n}-{'x' * 40}" for n in range(200)]
    made = await served.client.post(GROUPS, json={"id": "g", "jobs": jobs})
    assert made.status_code == 201
    query = "&".join(f"job={job}" for job in jobs)
    found = await served.client.get(f"{WAIT}?{query}&timeout=0", headers=BEARER)
    assert len(found.json()["jobs"]) == 200


# --- lists of jobs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "query", "found"),
    [
        ({"batch": 7}, "metadata=batch:7", True),
        ({"batch": "7"}, "metadata=batch:7", True),
        ({"batch": 7}, "metadata=batch:8", False),
        ({"batch": 7}, "metadata=other:7", False),
        ({"batch": True}, "metadata=batch:1", False),
        ({"batch": None}, "metadata=batch:null", True),
        ({"batch": {"a": [1]}}, 'metadata=batch:{"a": [1]}', True),
        ({"url": "a:b"}, "metadata=url:a:b", True),
        ({"batch": 7, "a": "b"}, "metadata=batch:7&metadata=a:b", True),
        ({"batch": 7, "a": "c"}, "metadata=batch:7&metadata=a:b", False),
        ({"batch": 7}, "metadata=batch:7&source=asked", False),
    ],
)
async def test_jobs_are_listed_by_metadata(web: Web, metadata: Any, query: str, found: Any) -> None:
    await web("PUT", "/v1/jobs/feed/1", {"metadata": metadata})
    assert bool((await web("GET", f"/v1/jobs?{query}")).json()["items"]) is found


async def test_a_filter_by_metadata_needs_a_colon(web: Web) -> None:
    assert "key:value" in refused(await web("GET", "/v1/jobs?metadata=batch"), 422)


async def test_jobs_are_listed_by_group(web: Web) -> None:
    jobs = [{"source": "feed", "id": str(n), "metadata": {"odd": n % 2}} for n in range(9)]
    await web("POST", GROUPS, {"id": "g", "jobs": jobs})
    await web("PUT", "/v1/jobs/feed/other", {})
    await web("DELETE", "/v1/jobs/feed/3")
    listed = await web.items("/v1/jobs", group="g", limit=2)
    assert [job["id"] for job in listed] == ["0", "1", "2", "4", "5", "6", "7", "8"]
    odd = await web.items("/v1/jobs", group="g", limit=2, metadata="odd:1")
    assert [job["id"] for job in odd] == ["1", "5", "7"]


async def test_the_jobs_of_an_empty_group_are_an_empty_list_and_of_no_group_404(web: Web) -> None:
    await web("POST", GROUPS, {"id": "g", "jobs": [], "open": True})
    assert await web.items("/v1/jobs", group="g") == []
    assert "typo" in refused(await web("GET", "/v1/jobs?group=typo"), 404)


@pytest.mark.parametrize(
    ("call", "deleted"),
    [
        (f"{WAIT}?job=feed/1&job=feed/2", "/v1/jobs/feed/1"),
        (f"{WAIT}?job=feed/2&group=g", G),
        ("/v1/jobs/feed/1?wait=30", "/v1/jobs/feed/1"),
        (f"{G}?wait=30", G),
    ],
)
async def test_a_deletion_ends_a_wait(web: Web, wait_until: Any, call: str, deleted: str) -> None:
    """The answer is the same as to a wait that begins after it."""
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1", "feed/2"]})
    waiting = asyncio.create_task(web("GET", call))
    waiters: dict[str, Any] = web.health.at_drain[0].__self__._waiters  # type: ignore[attr-defined]
    await wait_until(lambda: waiters)
    assert (await web("DELETE", deleted)).status_code == 204
    assert refused(await waiting, 404) == refused(await web("GET", call), 404)
    assert not waiters


async def test_pages_of_a_group_read_its_list_once(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And show how each member ended meanwhile."""
    reads, real = [], Groups.members

    async def counted(self: Groups, group: str) -> Any:
        reads.append(group)
        return await real(self, group)

    jobs = [str(number) for number in range(7)]
    await web("POST", GROUPS, {"id": "g", "jobs": [f"feed/{job}" for job in jobs]})
    monkeypatch.setattr(Groups, "members", counted)
    for ended in ({}, {"4": "failed"}):
        for job, status in ended.items():
            await web.push(job, status)
        listed = await web.items(f"{G}/jobs", limit=3)
        assert {one["id"]: one["state"] for one in listed} == dict.fromkeys(jobs, "pending") | ended
        assert [job["id"] for job in await web.items("/v1/jobs", group="g", limit=3)] == jobs
    assert reads == ["g"]


async def test_a_list_of_an_open_group_shows_what_was_added(web: Web) -> None:
    await web("POST", GROUPS, {"id": "g", "jobs": ["feed/1"], "open": True})
    assert [job["id"] for job in await web.items(f"{G}/jobs")] == ["1"]
    await web("PUT", f"{G}/jobs/feed/2", {})
    assert [job["id"] for job in await web.items(f"{G}/jobs")] == ["1", "2"]
