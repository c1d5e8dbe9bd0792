"""A store that an older version wrote continues: nothing is lost, nothing is delivered twice."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from redis import Redis

from processor.store.fleet import SCHEMA

from .feed import Caller, push
from .processes import free_port
from .provider import Provider
from .sink import Sink
from .system import CLOCK, WEB, WORKER, System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

NOBODY = "http://127.0.0.1:1999/"  # where its subscribers were
AGO = 27.0  # seconds: the leases of its dead worker have three left
WITHIN = 45.0

BEFORE = {"retried-1", "retried-2", *(f"failed-{n}" for n in range(4))}
LEFT = {f"left-{n}" for n in range(12)}
LATER = {
    "polled",
    "polled-2",
    "late",
    "claimed-1",
    "claimed-2",
    *(f"waiting-{n}" for n in range(6)),
}
HEARD = {
    "plain": BEFORE | LEFT | LATER,
    "sealed": BEFORE | LEFT | LATER,
    "ordered": BEFORE | LEFT | LATER,
    "full": LEFT | LATER,  # it was made after the first
    "disabled": set(),
}


PROFILE = """
[push]
id = "/id"
aliases = ["/alias"]
status = "/status"

[poll]
request = "GET /{id}"
id = "/id"
status = "/status"
every = ["1s", "2s"]

[states]
queued = "queued"
running = "running"
succeeded = "succeeded"
failed = "failed"
"""


def _lead(store: Any, sinks: dict[str, Sink]) -> None:
    """Give the subscribers the addresses that they have now."""
    for name, (_, _, value) in store.keys.items():
        if name.endswith(":subs"):
            for kind, target in store.subs.items():
                value[target] = value[target].replace(NOBODY, sinks[kind].url)
        elif ":callback:" in name:
            store.keys[name][2] = value.replace(NOBODY, sinks["callback"].url)


@pytest.mark.parametrize("schema", [1, 2, 3])
async def test_a_store_of_an_older_schema_continues(
    schema: int, plan: Callable[..., System], old_store: Any
) -> None:
    port = free_port()

    async def succeeded(path: str) -> web.Response:
        return web.json_response({"id": path[1:], "status": "succeeded"})

    key = base64.b64encode(b"1" * 32).decode()
    source = f'[sources.feed]\nprovider = "lab"\nbase_url = "http://127.0.0.1:{port}"\n'
    source += 'track = "all"\ntrust = "event"\n'  # the defaults of then
    system = plan(source, RINGBACK_SHARDS="2", RINGBACK_MASTER_KEYS=f"k1:{key}")
    file = system.folder / "ringback.toml"
    file.write_text('providers = "profiles"\n' + file.read_text())
    (system.folder / "profiles").mkdir()
    (system.folder / "profiles/lab.toml").write_text(PROFILE)
    old = old_store(f"schema_{schema}.json", AGO)
    async with AsyncExitStack() as stack:
        sinks = {n: await stack.enter_async_context(Sink()) for n in (*HEARD, "callback")}
        await stack.enter_async_context(Provider(port, succeeded))
        caller = await stack.enter_async_context(Caller(system.url))
        redis = stack.enter_context(Redis.from_url(system.redis.url))
        _lead(old, sinks)
        old.restore(redis)
        for name, words in (("web", WEB), ("clock", CLOCK), ("worker", WORKER), ("second", WORKER)):
            system.start(name, *words)  # all at once: one of them migrates
        await asyncio.to_thread(system.wait_until_ready)
        for kind, jobs in HEARD.items():
            await until(
                lambda k=kind, j=jobs: _completions(sinks[k]).keys() >= j,
                WITHIN,
                f"completions of {kind}",
                lambda k=kind, j=jobs: j - _completions(sinks[k]).keys(),
            )
        await until(lambda: sinks["callback"].jobs == {"polled"}, WITHIN, "the callback")
        await _settle(redis)
        for kind, jobs in HEARD.items():
            assert _completions(sinks[kind]) == dict.fromkeys(jobs, 1), kind
        assert [call.headers["x-key"] for call in sinks["ordered"].calls[:1]] == ["open-sesame"]
        assert not any(sink.forged for sink in sinks.values())
        await _stands_as_before(caller, old)
        await _heard_once_more(caller, sinks["plain"])
        if schema >= 2:
            await _refused_before(caller, old.subs["plain"])
    assert _events(system, "migration_finished") == [
        {"schema": n} for n in range(schema + 1, SCHEMA + 1)
    ]
    assert redis_versions(system) == (str(SCHEMA).encode(), True)
    assert "Traceback" not in system.logs()


def _completions(sink: Sink) -> Counter[str]:
    return Counter(c.job for c in sink.calls if c.event["type"] != "job.started")


async def _settle(redis: Redis) -> None:
    keys = [f"{{rb:{n}}}:{key}" for n in (0, 1) for key in ("items:deliver", "overflow")]
    await until(lambda: not redis.exists(*keys), WITHIN, "the end of all deliveries")


async def _stands_as_before(caller: Caller, old: Any) -> None:
    """Jobs and subscriptions are what they were."""
    for name in ("quiet", "polled", "other", "p1", "p2"):
        assert (await caller.call("GET", f"/v1/jobs/feed/{name}"))[0] == 200, name
    assert (await caller.call("GET", "/v1/jobs/feed/gone"))[0] == 404
    assert (await caller.get("/v1/jobs/feed/quiet"))["state"] == "queued"
    assert (await caller.get("/v1/jobs/feed/polled-2"))["metadata"] == {"n": 1}
    listed = {one["id"]: one["disabled"] for one in await caller.items("/v1/subscriptions")}
    assert listed == {
        target: "answered 410" if kind == "disabled" else None for kind, target in old.subs.items()
    }


async def _refused_before(caller: Caller, target: str) -> None:
    """What ended before is listed, with the reason."""
    path = f"/v1/deliveries?subscription={target}&state=failed"
    reasons = [one["reason"] for one in await caller.items(path)]
    assert len(reasons) == 2
    assert all("abort-message" in reason for reason in reasons)


async def _heard_once_more(caller: Caller, sink: Sink) -> None:
    """What completes now goes to the subscriptions that were there."""
    assert await caller.push(push("feed", "new", "succeeded")) == 202
    await until(lambda: "new" in sink.jobs, WITHIN, "a new completion")


def _events(system: System, event: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in system.logs().splitlines() if line.startswith("{")]
    found = [row["schema"] for row in rows if row["event"] == event]
    return [{"schema": schema} for schema in sorted(found)]  # of several processes, in any order


def redis_versions(system: System) -> tuple[bytes, bool]:
    """The schema, and whether no version of the subscriptions is a number."""
    with Redis.from_url(system.redis.url) as redis:
        versions = [redis.get(f"{{rb:{n}}}:subs:version") for n in (0, 1)]
        return redis.hget("rb:meta", "schema"), not any(v.isdigit() for v in versions)
