"""An old copy of Redis is put in place under a running provider: every job catches up."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .processes import free_port
from .provider import Provider
from .sink import Sink
from .system import System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

WITHIN = 30.0  # seconds
JOBS = [f"job-{n}" for n in range(60)]
ENDS = {job: ("succeeded", "failed", "canceled")[n % 3] for n, job in enumerate(JOBS)}


async def test_every_job_converges_to_the_providers_truth(
    plan: Callable[..., System], tmp_path: Path
) -> None:
    """The copy knows them unfinished, to be polled in an hour; meanwhile all of them have ended."""
    truth = dict.fromkeys(JOBS, "running")
    port = free_port()

    async def tell(path: str) -> web.Response:
        return web.json_response({"id": path[1:], "status": truth[path[1:]]})

    system = plan(standard("feed", port)).start_all()
    data, copy = tmp_path / "data" / "redis", tmp_path / "copy"
    async with Caller(system.url) as caller, Sink() as sink, Provider(port, tell) as provider:
        await caller.subscribe(sink, "feed")
        for job in JOBS:
            await caller.call("PUT", f"/v1/jobs/feed/{job}", {"poll": {"every": "1h"}})
        await _stop(system)
        shutil.copytree(data, copy)
        await _start(system, caller)

        noticed = JOBS[:40]  # the provider goes on, and Ringback hears of it
        truth |= {job: ENDS[job] for job in noticed}
        await caller.push_all(push("feed", job, truth[job]) for job in noticed)
        await until(lambda: sink.jobs >= set(noticed), WITHIN, "their callbacks")

        await _stop(system)
        truth |= ENDS  # the rest ends while nobody listens
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        await _start(system, caller)

        async def all_ended() -> bool:
            return await _states(caller) == ENDS

        await until_it(all_ended, WITHIN, "the truth about every job")
        await until(lambda: sink.jobs >= set(JOBS), WITHIN, "a callback for every job")
        assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
        asked = Counter(path[1:] for _, path in provider.asked)
        assert max(asked.values()) <= 3  # once after each start, and once more by chance
    assert "Traceback" not in system.logs()


async def _states(caller: Caller) -> dict[str, str]:
    return {job["id"]: job["state"] for job in await caller.items("/v1/jobs")}


async def _stop(system: System) -> None:
    await asyncio.to_thread(system.redis.stop)


async def _start(system: System, caller: Caller) -> None:
    await asyncio.to_thread(system.redis.start)
    await until_it(caller.ready, WITHIN, "readiness")
