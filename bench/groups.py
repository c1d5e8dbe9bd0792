"""Section: a group of 10,000 jobs, and what it costs the others.

Pushes leave at the light load all the time. Meanwhile a group is created, and its members end at a
steady rate; before that, as many jobs of no group end at that rate. Redis' memory is read before
and after the creation of a group whose jobs are watched already.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import aiohttp
from redis import Redis

from bench import processes, report
from bench.contenders import standard
from bench.contenders.ringback import ringback
from bench.contenders.running import Running
from bench.load import latency, loadgen, workload
from bench.report import Claim, Result
from bench.runner import Runner

MEMBERS = 10_000
ENDS = 400  # members that end in a second
ALONE = 10.0  # seconds of light load without anything else
BOUND = 1.5  # times the p99 of lone pushes while jobs of no group end
CONNECTIONS = 16  # of the pushes that end members


class Phase(NamedTuple):
    """Lone pushes while something else went on."""

    name: str
    seconds: float
    delays: tuple[float, ...]  # ms, sorted


class Api:
    """The API of a contender."""

    def __init__(self, running: Running) -> None:
        self._url = f"http://127.0.0.1:{running.ports[0]}"

    async def __aenter__(self) -> Self:
        """Open connections."""
        self._session = aiohttp.ClientSession(headers={"authorization": f"Bearer {processes.KEY}"})
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        await self._session.close()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a call, which must be good."""
        async with self._session.request(method, self._url + path, json=body) as answer:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json()


async def measure(runner: Runner) -> Result:
    """Measure each phase, and the memory of members."""
    count = runner.size(MEMBERS)
    async with runner.start("ringback", ringback) as running, Api(running) as api:
        await runner.driver.warm_up(running, 0.0)
        bytes_each = await memory(running, api, count)
        phases = [
            await beside(runner, running, "nothing else", lambda: asyncio.sleep(ALONE)),
            await beside(
                runner, running, "jobs of no group end", lambda: end(running, "none", count)
            ),
            await beside(
                runner, running, "a group is created", lambda: create(api, "group", count)
            ),
            await beside(
                runner, running, "its members end", lambda: end_group(running, api, count)
            ),
        ]
    rows = [
        (
            phase.name,
            f"{phase.seconds:.1f}",
            f"{latency.percentile(phase.delays, 0.5):.1f}",
            f"{latency.percentile(phase.delays, 0.99):.1f}",
        )
        for phase in phases
    ]
    head = (f"meanwhile ({count:,} jobs)", "seconds", "p50 of lone pushes, ms", "p99")
    note = (
        f"A member takes {bytes_each:,.0f} bytes of Redis' memory, if its job is watched already."
    )
    return Result([report.table(head, rows), note], claims(phases), [p._asdict() for p in phases])


def claims(phases: list[Phase]) -> list[Claim]:
    """What a group may cost others."""
    p99 = {phase.name: latency.percentile(phase.delays, 0.99) for phase in phases}
    most = max(p99["a group is created"], p99["its members end"]) / p99["jobs of no group end"]
    text = f"a group of {MEMBERS:,}: p99 of lone pushes at most {BOUND} times that without it"
    return [Claim(text, f"{most:.2f}", held=most <= BOUND)]


async def beside(
    runner: Runner, running: Running, name: str, work: Callable[[], Awaitable[Any]]
) -> Phase:
    """Push at the light load for as long as something else takes."""
    started = time.perf_counter()
    doing = asyncio.ensure_future(work())
    delays: list[float] = []
    took = 0.0
    while not doing.done() or not delays:
        delays += await latency.light(runner.driver, running, 2.0)
        took = took or (time.perf_counter() - started if doing.done() else 0.0)
    await doing
    return Phase(name, took, tuple(sorted(delays)))


def members(name: str, count: int) -> list[str]:
    """The ids of the jobs of a group."""
    return [f"{name}-{number:06}" for number in range(count)]


async def create(api: Api, name: str, count: int) -> None:
    """Create a group whose jobs are new."""
    jobs = [f"{standard.SOURCE}/{job}" for job in members(name, count)]
    await api.call("POST", "/v1/groups", {"id": name, "jobs": jobs})


async def end(running: Running, name: str, count: int) -> None:
    """End jobs at a steady rate."""
    pushes = (
        (number / ENDS, workload.signed(f"msg_{job}".encode(), final(job)))
        for number, job in enumerate(members(name, count))
    )
    await loadgen.answered(running.ports, pushes, count, CONNECTIONS)


def final(job: str) -> bytes:
    """The body of a job's last push."""
    return workload.body(job.encode(), b"succeeded", b"1.0")


async def end_group(running: Running, api: Api, count: int) -> None:
    """End all members, and wait until the group has ended."""
    await end(running, "group", count)
    found = await api.call("GET", "/v1/groups/group?wait=60")
    if found["state"] != "succeeded":
        raise RuntimeError(f"the group has not ended: {found}")


async def memory(running: Running, api: Api, count: int) -> float:
    """The bytes that a member takes whose job is watched already: its row, and a note in the job."""
    await create(api, "first", count)
    ids = members("first", count)
    with Redis(unix_socket_path=str(running.socket)) as redis:
        before = records(redis, ids)
        jobs = [f"{standard.SOURCE}/{job}" for job in ids]
        await api.call("POST", "/v1/groups", {"id": "second", "jobs": jobs})
        rows = sum(
            redis.memory_usage(key, samples=0) for key in redis.scan_iter("*}:members:second")
        )
        return (rows + records(redis, ids) - before) / count


def records(redis: Redis, ids: list[str]) -> int:
    """The bytes of the records of these jobs."""
    return sum(redis.memory_usage(f"{{rb:0}}:job:{standard.SOURCE}/{job}") for job in ids)
