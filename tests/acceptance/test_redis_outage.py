"""Redis is killed while work is due, and comes back with what it had written."""

import asyncio
import json
import time
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .processes import BEARER, free_port
from .provider import Provider
from .sink import Call, Gate, Sink
from .system import WEB, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

RETRY = 6.0  # seconds until the second attempt at the latest
BACK_WITHIN = 10.0
MANY = 20


async def test_what_fell_due_meanwhile_runs_soon_after_its_return(
    plan: Callable[..., System],
) -> None:
    port, refused, word = free_port(), set[str](), "running"

    async def fail_first(call: Call) -> web.Response:
        first = call.id not in refused
        refused.add(call.id)
        return web.Response(status=500 if first else 200)

    async def tell(path: str) -> web.Response:
        return web.json_response({"id": path[1:], "status": word})

    system = plan(standard("feed", port)).start_all()
    async with (
        Caller(system.url) as caller,
        Sink(fail_first) as sink,
        Provider(port, tell),
    ):
        await caller.subscribe(sink, "feed")
        pushed = {f"pushed-{n}" for n in range(MANY)}
        polled = {f"polled-{n}" for n in range(MANY)}
        for job in polled:
            await caller.call("PUT", f"/v1/jobs/feed/{job}", {"poll": {"every": "2s"}})
        late = {"deadline": "3s", "poll": False}
        await caller.call("PUT", "/v1/jobs/feed/late", late)
        await caller.push_all(push("feed", job, "succeeded") for job in pushed)
        await until(lambda: len(refused) >= MANY, 10, "first attempts")

        async def answered() -> bool:
            running = await caller.items("/v1/jobs?source=feed&state=running")
            return len(running) == MANY

        await until_it(answered, 10, "first polls, and nothing under way")
        system.redis.kill()
        killed = time.monotonic()
        await _all_refuse(caller)
        await until(lambda: time.monotonic() > killed + RETRY, RETRY + 1, "retries falling due")
        word = "succeeded"
        system.redis.start()
        back = time.monotonic()
        await until_it(caller.ready, BACK_WITHIN, "readiness")
        assert await caller.push(push("feed", "new", "succeeded")) == 202
        everything = pushed | polled | {"late", "new"}
        left = back + BACK_WITHIN - time.monotonic()
        await until(lambda: _attempted(sink) >= everything, left, "all that was due")
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
    assert all(child.alive for child in system.children.values())
    assert "Traceback" not in system.logs()


async def test_what_was_under_way_need_not_wait_for_its_lease_to_end(
    plan: Callable[..., System],
) -> None:
    port, gate, may_answer = free_port(), Gate(), asyncio.Event()

    async def tell(path: str) -> web.Response:
        await may_answer.wait()
        return web.json_response({"id": path[1:], "status": "succeeded"})

    system = plan(standard("feed", port)).start_all()
    async with (
        Caller(system.url) as caller,
        Sink(gate.answer) as sink,
        Provider(port, tell) as provider,
    ):
        await caller.subscribe(sink, "feed")
        pushed = {f"pushed-{n}" for n in range(MANY)}
        polled = {f"polled-{n}" for n in range(MANY)}
        for job in polled:
            await caller.call("PUT", f"/v1/jobs/feed/{job}", {"poll": {"every": "500ms"}})
        await caller.push_all(push("feed", job, "succeeded") for job in pushed)
        await until(lambda: len(provider.asked) >= MANY, 10, "polls under way")
        await until(lambda: len(sink.calls) >= MANY, 10, "deliveries under way")

        system.redis.kill()
        gate.open()
        may_answer.set()  # so that all answers come while nothing can be written
        assert await caller.push(push("feed", "meanwhile", "succeeded")) == 503
        await until(
            lambda: "redis_unavailable" in system.children["worker"].log(), 5, "a worker's line"
        )
        system.redis.start()
        back = time.monotonic()

        async def settled() -> bool:
            return not await caller.metric('ringback_backlog_items{backlog="deliver"}')

        await until_it(caller.ready, BACK_WITHIN, "readiness")
        left = back + BACK_WITHIN - time.monotonic()
        await until(lambda: sink.jobs >= polled, left, "callbacks for", lambda: polled - sink.jobs)
        await until_it(settled, back + BACK_WITHIN - time.monotonic(), "no delivery is left")
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}


def _attempted(sink: Sink) -> set[str]:
    """Jobs whose first event after all was tried: pushed ones twice."""
    tries = [call.job for call in sink.calls]
    return {job for job in tries if not job.startswith("pushed") or tries.count(job) > 1}


async def _all_refuse(caller: Caller) -> None:
    """Pushes and calls get 503 and a time to come again; the process itself is alive."""
    answer = await caller.send(push("feed", "meanwhile", "succeeded"))
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"] == "application/problem+json"
    for path, status in (("/v1/jobs", 503), ("/readyz", 503), ("/healthz", 200)):
        assert (path, (await caller.ask(path)).status) == (path, status)


async def test_each_process_says_in_one_line_that_redis_is_away(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed")).start_all()
    async with Caller(system.url) as caller:
        clock = system.children["clock"]  # of no account to readiness, and so perhaps slower
        await until(lambda: "secrets_unencrypted" in clock.log(), BACK_WITHIN, "its first line")
        before = {name: child.log() for name, child in system.children.items()}
        system.redis.kill()
        killed = time.monotonic()
        while time.monotonic() < killed + 5:  # long enough for whoever repeats itself
            assert await caller.push(push("feed", "job", "running")) == 503
            await asyncio.sleep(0.2)
        system.redis.start()
        await until_it(caller.ready, BACK_WITHIN, "readiness")
    said = {
        name: [line for line in child.log()[len(before[name]) :].splitlines() if _loud(line)]
        for name, child in system.children.items()
    }
    assert {name: len(lines) for name, lines in said.items()} == dict.fromkeys(said, 1), said
    assert "Traceback" not in system.logs()


def _loud(line: str) -> bool:
    try:
        return json.loads(line)["level"] in ("warning", "error", "critical")
    except (ValueError, KeyError):
        return True  # not even a line of JSON


async def test_a_scrape_of_metrics_is_asked_to_retry(plan: Callable[..., System]) -> None:
    system = plan(standard("feed")).start_all()
    async with Caller(system.url) as caller:
        system.redis.kill()
        assert (await caller.ask("/metrics")).status == 503
    assert "Traceback" not in system.logs()


async def test_an_open_stream_survives_the_outage(plan: Callable[..., System]) -> None:
    system = plan(standard("feed")).start_all()
    headers = {"Accept": "text/event-stream"}
    async with (
        Caller(system.url) as caller,
        aiohttp.ClientSession(headers=BEARER) as session,
        session.get(f"{system.url}/v1/events", headers=headers) as stream,
    ):
        assert (await stream.content.readuntil(b"\n\n")).startswith(b"retry: 3000\n")
        await _event_arrives(caller, stream, "before")
        system.redis.kill()
        assert await caller.push(push("feed", "meanwhile", "succeeded")) == 503
        system.redis.start()
        await until_it(caller.ready, BACK_WITHIN, "readiness")
        await _event_arrives(caller, stream, "after")


async def _event_arrives(caller: Caller, stream: aiohttp.ClientResponse, job: str) -> None:
    assert await caller.push(push("feed", job, "succeeded")) == 202
    async with asyncio.timeout(10):
        while f'"id":"{job}"'.encode() not in await stream.content.readuntil(b"\n\n"):
            pass


async def test_web_that_starts_without_redis_says_so_until_it_is_there(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed"))
    system.redis.kill()
    system.start("web", *WEB)
    async with Caller(system.url) as caller:

        async def alive() -> bool:
            try:
                return (await caller.ask("/healthz")).status == 200
            except aiohttp.ClientError:
                return False

        async def taken() -> bool:
            return await caller.push(push("feed", "job", "running")) == 202

        await until_it(alive, BACK_WITHIN, "a process that answers")
        await _all_refuse(caller)
        system.redis.start()
        await until_it(taken, BACK_WITHIN, "a push that is taken")
