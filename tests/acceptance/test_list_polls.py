"""Many jobs take few requests where the provider answers many at once."""

import asyncio
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from .feed import Caller
from .processes import free_port
from .provider import Provider, Tell
from .system import CLOCK, WEB, WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

JOBS = 1000
PAGE = 100
PROFILE = """
[poll]
request = "GET /jobs/{id}"
id = "/id"
status = "/status"
after = "1ms"
every = ["1s", "5s"]

[poll.list]
LIST
most = 100
each = "/data"
whole = true

[states]
done = "succeeded"
"""
LISTS = {
    "named": 'request = "GET /jobs?ids={ids}"',
    "paged": 'request = "GET /jobs?page=1"\nmore = "GET /jobs?page={page}"',
}


def listed(path: str) -> list[str]:
    """The jobs that the answer to a request contains."""
    query = parse_qs(urlsplit(path).query)
    if "ids" in query:
        return query["ids"][0].split(",")
    page = int(query["page"][0])
    return [f"job-{n}" for n in range(JOBS)][PAGE * (page - 1) : PAGE * page]


async def answer(path: str) -> web.Response:
    """Say of every job that it is done."""
    if "?" not in path:
        return web.json_response({"id": path.rpartition("/")[2], "status": "done"})
    return web.json_response({"data": [{"id": job, "status": "done"} for job in listed(path)]})


def farm(folder: Path, port: int) -> System:
    """A Ringback with one source, whose profile is in the folder."""
    source = f'[sources.farm]\nprovider = "farm"\nbase_url = "http://127.0.0.1:{port}"\n'
    return System(folder, f'providers = "."\n{source}')


async def watch_all(caller: Caller) -> None:
    """Watch all jobs; each is due at once."""
    jobs = iter(range(JOBS))

    async def watcher() -> None:
        for job in jobs:
            status, _ = await caller.call("PUT", f"/v1/jobs/farm/job-{job}", {})
            assert status == 201

    async with asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(watcher())


async def poll_all(folder: Path, kind: str, tell: Tell) -> Counter[str]:
    """Have two workers poll jobs that are all due, to their end; how many requests of each sort."""
    (folder / "farm.toml").write_text(PROFILE.replace("LIST", LISTS[kind]))
    port = free_port()
    with farm(folder, port) as system:
        system.start("web", *WEB)
        async with Provider(port, tell) as provider, Caller(system.url) as caller:
            await until_it(lambda: _is_up(caller), 20, "the receiver")
            await watch_all(caller)
            for name, words in (("one", WORKER), ("other", WORKER), ("clock", CLOCK)):
                system.start(name, *words)
            await until_it(lambda: _all_done(caller), 40, "all jobs")
    return Counter("list" if "?" in path else "job" for _, path in provider.asked)


@pytest.mark.parametrize(("kind", "most"), [("named", 30), ("paged", 40)])
async def test_a_thousand_jobs_take_a_few_requests(tmp_path: Path, kind: str, most: int) -> None:
    requests = await poll_all(tmp_path, kind, answer)
    assert requests["list"] <= most, requests
    assert requests["job"] <= PAGE // 10, requests


async def test_jobs_that_lists_lack_or_garble_are_polled_alone(tmp_path: Path) -> None:
    async def faulty(path: str) -> web.Response:
        if "?" not in path:
            return await answer(path)
        found = [{"id": job, "status": "" if job.endswith("4") else "done"} for job in listed(path)]
        return web.json_response({"data": [e for e in found if not e["id"].endswith("7")]})

    requests = await poll_all(tmp_path, "named", faulty)
    assert JOBS / 5 <= requests["job"] <= JOBS / 2, requests
    assert requests["list"] <= 60, requests


async def test_without_a_list_that_works_every_job_is_polled_alone(tmp_path: Path) -> None:
    async def broken(path: str) -> web.Response:
        return web.Response(status=500) if "?" in path else await answer(path)

    requests = await poll_all(tmp_path, "paged", broken)
    assert requests["job"] >= JOBS, requests
    assert requests["list"] <= 2, requests  # one of each worker


async def _is_up(caller: Caller) -> bool:
    with suppress(aiohttp.ClientError):
        return (await caller.ask("/v1/jobs")).status == HTTPStatus.OK
    return False


async def _all_done(caller: Caller) -> bool:
    return not (await caller.get("/v1/jobs?source=farm&state=queued&limit=1"))["items"]


async def test_jobs_that_fall_due_one_after_the_other_come_to_share_requests(
    tmp_path: Path,
) -> None:
    text = PROFILE.replace("LIST", LISTS["named"]).replace('["1s", "5s"]', '["400ms", "400ms"]')
    (tmp_path / "farm.toml").write_text(text.replace("[states]", '[states]\nbusy = "running"'))
    port, asked = free_port(), Counter[str]()

    async def busy(path: str) -> web.Response:
        jobs = listed(path) if "?" in path else [path.rpartition("/")[2]]
        asked.update(jobs)
        found = [{"id": job, "status": "busy"} for job in jobs]
        return web.json_response({"data": found} if "?" in path else found[0])

    with farm(tmp_path, port) as system:
        async with Provider(port, busy) as provider, Caller(system.url) as caller:
            system.start_all()
            for job in range(PAGE):  # which takes longer than one interval
                await caller.call("PUT", f"/v1/jobs/farm/job-{job}", {})
            requests, answers = len(provider.asked), asked.total()
            everyone = {f"job-{job}" for job in range(PAGE)}
            seen = Counter(asked)
            await until(lambda: min((asked - seen)[j] for j in everyone) >= 10, 30, "ten polls")
            requests, answers = len(provider.asked) - requests, asked.total() - answers
    assert requests <= answers / 10
