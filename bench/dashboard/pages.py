"""Reads pages of the dashboard by turns from several servers, signed in as a browser is."""

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from statistics import median

import aiohttp

from bench import processes
from bench.dashboard.fill import job_id

PAGES = {
    "overview": "/",
    "jobs": "/dashboard/jobs",
    "ten jobs that failed": "/dashboard/jobs?state=failed&limit=10",
    "jobs, none in this state": "/dashboard/jobs?state=canceled",
    "jobs, none of this source": "/dashboard/jobs?source=other",
    "jobs, none with this metadata": "/dashboard/jobs?metadata=team:none",
    "a job": f"/dashboard/jobs/bench/{job_id(7)}",
    "groups": "/dashboard/groups",
    "subscriptions": "/dashboard/subscriptions",
    "sources": "/dashboard/sources",
}
LISTING = ("/", "/dashboard/jobs", "/dashboard/jobs?state=failed&limit=10")
Times = dict[str, dict[str, float]]
"""Median milliseconds, by page and server."""


@contextlib.asynccontextmanager
async def signed_in(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with a cookie of this server."""
    jar = aiohttp.CookieJar(unsafe=True)  # it belongs to an address, not to a name
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=jar) as session:
        async with session.post("/session", json={"key": processes.KEY}) as answer:
            assert answer.status == HTTPStatus.NO_CONTENT
        yield session


async def read(session: aiohttp.ClientSession, path: str) -> float:
    """Read a page whole; the milliseconds that it took."""
    began = time.perf_counter()
    async with session.get(path, allow_redirects=False) as answer:
        text = await answer.text()
        assert answer.status == HTTPStatus.OK, path
    took = 1000 * (time.perf_counter() - began)
    assert job_id(1)[:8] in text or path not in LISTING, f"{path} lists no job"
    return took


async def by_turns(sessions: Mapping[str, aiohttp.ClientSession], times: int) -> Times:
    """Read each page so many times from each server; every other time begins with the other."""
    found: dict[str, dict[str, list[float]]] = {
        page: {name: [] for name in sessions} for page in PAGES
    }
    for number in range(times + 1):
        for page, path in PAGES.items():
            for name in list(sessions)[:: -1 if number % 2 else 1]:
                took = await read(sessions[name], path)
                if number:  # the first fills caches
                    found[page][name].append(took)
    return {page: {n: median(took) for n, took in by.items()} for page, by in found.items()}
