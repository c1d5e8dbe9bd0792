"""`/v1/wait` over real sockets: hundreds of jobs in one call, and thousands of calls for one job."""

import asyncio
import json
import resource
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import standard
from .feed import Caller, push
from .processes import KEY
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

JOBS = 200  # in one wait
WAITERS = 5_000  # of one job
OTHERS = 200  # open files of the test itself


@pytest.fixture
def system(plan: Callable[..., System]) -> System:
    return plan(standard("feed")).start_all()


async def watch(caller: Caller, jobs: list[str]) -> None:
    for job in jobs:
        status, _ = await caller.call("PUT", f"/v1/jobs/feed/{job}", {})
        assert status == 201


@pytest.mark.parametrize("mode", ["all", "any"])
async def test_one_wait_for_hundreds_of_jobs(system: System, mode: str) -> None:
    jobs = [f"{mode}-{number}" for number in range(JOBS)]
    names = [f"feed/{job}" for job in jobs]
    async with Caller(system.url) as caller:
        await watch(caller, jobs)
        query = "&".join(f"job={name}" for name in names)
        calls = [
            caller.get(f"/v1/wait?{query}&mode={mode}&timeout=60"),
            caller.call("POST", "/v1/wait", {"jobs": names, "mode": mode, "timeout": 60}),
        ]
        waiting = [asyncio.ensure_future(call) for call in calls]
        assert await caller.push(push("feed", jobs[7], "failed")) == 202
        if mode == "all":
            await asyncio.wait(waiting, timeout=0.5)
            assert not any(call.done() for call in waiting)
            rest = [job for job in jobs if job != jobs[7]]
            await caller.push_all(push("feed", job, "succeeded") for job in rest)
        by_query, (status, by_body) = await asyncio.gather(*waiting)
        assert status == 200
    for answer in (by_query, by_body):
        assert answer["done"]
        assert [job["id"] for job in answer["jobs"]] == jobs
        finished = [job["id"] for job in answer["jobs"] if job["state"] != "queued"]
        assert finished == (jobs if mode == "all" else [jobs[7]])


async def test_a_wait_whose_time_is_up_says_what_is_done(system: System) -> None:
    async with Caller(system.url) as caller:
        await watch(caller, ["late", "done"])
        assert await caller.push(push("feed", "done", "succeeded")) == 202
        answer = await caller.get("/v1/wait?job=feed/late&job=feed/done&timeout=1")
    assert not answer["done"]
    assert [job["state"] for job in answer["jobs"]] == ["queued", "succeeded"]


async def test_thousands_who_wait_for_one_job_are_all_answered(system: System) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < WAITERS + OTHERS:
        pytest.skip(f"this user may open {most} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    async with Caller(system.url) as caller:
        await watch(caller, ["popular"])
        waiting = [
            Waiter(system.port, "/v1/wait?job=feed/popular&timeout=60") for _ in range(WAITERS)
        ]
        for start in range(0, WAITERS, 200):
            await asyncio.gather(*(waiter.send() for waiter in waiting[start : start + 200]))
        assert await caller.push(push("feed", "popular", "succeeded")) == 202
        answers = await asyncio.gather(*(waiter.answer() for waiter in waiting))
    assert all(answer["done"] for answer in answers)
    assert {answer["jobs"][0]["state"] for answer in answers} == {"succeeded"}
    await until(lambda: "Traceback" not in system.logs(), 1, "no error")


class Waiter:
    """One call on a connection of its own."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._path = path

    async def send(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = (
            f"GET {self._path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n"
        )
        self._writer.write(head.encode())

    async def answer(self) -> Any:
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        fields = dict(
            line.split(": ") for line in head.decode().lower().splitlines() if ": " in line
        )
        body = await self._reader.readexactly(int(fields["content-length"]))
        self._writer.close()
        return json.loads(body)
