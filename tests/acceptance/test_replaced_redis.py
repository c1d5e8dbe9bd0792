"""Another Redis, or other data, is put where Ringback's was, while all of it runs."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from redis import Redis

from processor.cli.embedded_redis import EmbeddedRedis
from processor.store.fleet import SCHEMA

from .conftest import standard
from .feed import Caller, push
from .processes import BEARER, free_port
from .redis_proxy import Proxy
from .sink import Sink
from .system import WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

WITHIN = 10.0  # seconds until all processes go by what is there
PROCESSES = 3
JOBS = 20  # that complete after each change


class Running(NamedTuple):
    """A whole Ringback whose Redis can be changed for another."""

    system: System
    proxy: Proxy
    caller: Caller

    def said(self, event: str, since: dict[str, int]) -> dict[str, list[Any]]:
        """What each process said of this event behind some places in their logs."""
        return {name: _lines(child.log()[since[name] :], event) for name, child in self.children()}

    def places(self) -> dict[str, int]:
        """How long each process' log is."""
        return {name: len(child.log()) for name, child in self.children()}

    def children(self) -> list[tuple[str, Any]]:
        """The processes that keep running."""
        return [(n, c) for n, c in self.system.children.items() if n in ("web", "worker", "clock")]

    async def all_look(self) -> None:
        """Return when each process has looked at Redis once more: it leaves another mark then."""
        with Redis.from_url(f"unix://{self.proxy.target}") as redis:
            before = redis.hgetall("rb:processes")
            await until(lambda: _moved_on(redis, before), WITHIN, "all processes to look")

    async def subscriptions(self) -> set[str]:
        """The ids of the subscriptions that the API lists."""
        return {one["id"] for one in await self.caller.items("/v1/subscriptions")}


def _moved_on(redis: Redis, before: dict[bytes, bytes]) -> bool:
    now = redis.hgetall("rb:processes")
    return len(now) == PROCESSES and not now.items() & before.items()


def _lines(log: str, event: str) -> list[Any]:
    found = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


@pytest.fixture
async def running(plan: Callable[..., System]) -> AsyncIterator[Running]:
    system = plan(standard("feed"))
    async with Proxy(_socket(system.redis)) as proxy, Caller(system.url) as caller:
        system.environ["REDIS_URL"] = proxy.url
        await asyncio.to_thread(system.start_all)
        made = Running(system, proxy, caller)
        await made.all_look()
        yield made


def _socket(redis: EmbeddedRedis) -> str:
    return redis.url.removeprefix("unix://")


async def _replaced(running: Running, since: dict[str, int], what: str) -> None:
    """Every process says what happened, loudly, within the time, and goes on."""

    def all_said() -> bool:
        return all(running.said("redis_replaced", since).values())

    await until(all_said, WITHIN, f"{what} to be said", lambda: running.said("redis_", since))
    said = running.said("redis_replaced", since)
    assert {n: [(r["what"], r["level"]) for r in rows] for n, rows in said.items()} == {
        name: [(what, "error" if what in ("emptied", "exchanged") else "warning")] for name in said
    }
    await until_it(running.caller.ready, WITHIN, "readiness")


async def _receives_everything(running: Running, name: str, *, others: Sink) -> None:
    """A subscription made now gets all that completes from now on; one that is lost gets nothing."""
    before = len(others.calls)
    async with Sink() as sink:
        await running.caller.subscribe(sink, "feed")
        jobs = {f"{name}-{n}" for n in range(JOBS)}
        await asyncio.gather(*(_push(running, job) for job in jobs))
        await until(lambda: sink.jobs >= jobs, WITHIN, "completions", lambda: jobs - sink.jobs)
        assert len(sink.calls) == JOBS
    assert len(others.calls) == before


async def _push(running: Running, job: str) -> None:
    """Have a job succeed; on a connection that was cut a push gets 503, and comes again."""
    one = push("feed", job, "succeeded")

    async def taken() -> bool:
        return await running.caller.push(one) == HTTPStatus.ACCEPTED

    await until_it(taken, WITHIN, "a push that is taken")


async def _use(running: Running, name: str, sink: Sink) -> None:
    """Have all processes know the subscriptions as they are: a job completes."""
    await _push(running, name)
    await until(lambda: name in sink.jobs, WITHIN, f"completion of {name}")


async def test_a_replica_without_the_last_change_is_promoted(
    running: Running, tmp_path: Path
) -> None:
    first, second = running.system.redis, EmbeddedRedis(tmp_path / "replica")
    await asyncio.to_thread(second.start)
    port = free_port()
    with Redis.from_url(first.url) as master, Redis.from_url(second.url) as replica:
        try:
            master.config_set("port", port)
            replica.replicaof("127.0.0.1", port)  # type: ignore[no-untyped-call]
            await until(lambda: _synced(replica), WITHIN, "the replica to have everything")
            async with Sink() as lost:
                await running.all_look()
                replica.replicaof("NO", "ONE")  # type: ignore[no-untyped-call]
                await running.caller.subscribe(lost, "feed")  # the replica lacks it
                await _use(running, "before", lost)
                since = running.places()
                running.proxy.lead_to(_socket(second))
                await _replaced(running, since, "promoted")
                assert await running.subscriptions() == set()
                await _receives_everything(running, "after", others=lost)
        finally:
            running.proxy.lead_to(None)
            await asyncio.to_thread(second.kill)
    assert "Traceback" not in running.system.logs()


def _synced(replica: Redis) -> bool:
    info = replica.info("replication")
    return info.get("master_link_status") == "up" and not info["master_sync_in_progress"]


async def test_an_earlier_copy_is_put_in_place(running: Running, tmp_path: Path) -> None:
    redis = running.system.redis
    data, copy = tmp_path / "data" / "redis", tmp_path / "copy"
    async with Sink() as kept, Sink() as lost:
        kept_id = await running.caller.subscribe(kept, "feed")
        await _use(running, "before", kept)
        running.proxy.lead_to(None)
        await asyncio.to_thread(redis.stop)
        shutil.copytree(data, copy)
        since = running.places()
        await asyncio.to_thread(redis.start)
        running.proxy.lead_to(_socket(redis))
        await until_it(running.caller.ready, WITHIN, "readiness")
        await _restarted_quietly(running, since)

        await running.caller.subscribe(lost, "feed")
        await _use(running, "lost", lost)
        await running.all_look()
        running.proxy.lead_to(None)
        await asyncio.to_thread(redis.stop)
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        since = running.places()
        await asyncio.to_thread(redis.start)
        running.proxy.lead_to(_socket(redis))
        await _replaced(running, since, "restored")
        assert await running.subscriptions() == {kept_id}
        await _receives_everything(running, "after", others=lost)
        await until(lambda: "after-0" in kept.jobs, WITHIN, "the one that was kept")
    assert "Traceback" not in running.system.logs()


async def _restarted_quietly(running: Running, since: dict[str, int]) -> None:
    """A restart with all its data is worth a line, and no more."""

    def all_said() -> bool:
        return all(running.said("redis_restarted", since).values())

    await until(all_said, WITHIN, "the restart to be noticed")
    assert not any(running.said("redis_replaced", since).values())


async def test_it_is_emptied_once_by_a_command_and_once_by_a_new_redis(
    running: Running, tmp_path: Path
) -> None:
    caller, first, second = running.caller, running.system.redis, EmbeddedRedis(tmp_path / "new")
    async with Sink() as lost:
        await caller.subscribe(lost, "feed")
        await _use(running, "before", lost)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": await _cursor(caller)}
        async with aiohttp.ClientSession(headers=BEARER) as session:
            url = f"{running.system.url}/v1/events"
            async with session.get(url, headers=headers) as stream:
                await stream.content.readuntil(b"\n\n")
                since, began = running.places(), time.monotonic()
                with Redis.from_url(first.url) as redis:
                    redis.flushall()
                    await _replaced(running, since, "emptied")
                    assert redis.hmget("rb:meta", "shards", "schema") == [
                        b"1",
                        str(SCHEMA).encode(),
                    ]
                async with asyncio.timeout(WITHIN):
                    await stream.content.read()  # to its end
            assert time.monotonic() - began < WITHIN
            async with session.get(url, headers=headers) as stream:
                await stream.content.readuntil(b"\n\n")
                assert (await stream.content.readuntil(b"\n\n")).startswith(b"event: gap\n")
        assert await running.subscriptions() == set()
        await _receives_everything(running, "flushed", others=lost)

        wrong = running.system.start("wrong", *WORKER, RINGBACK_SHARDS="4")
        assert await asyncio.to_thread(wrong.wait) == 2
        assert "shards 1" in wrong.log()
        del running.system.children["wrong"]

        since = running.places()
        await asyncio.to_thread(second.start)
        try:
            running.proxy.lead_to(_socket(second))
            await _replaced(running, since, "emptied")
            await _receives_everything(running, "new", others=lost)
        finally:
            running.proxy.lead_to(None)
            await asyncio.to_thread(second.kill)
    assert all(child.alive for child in running.system.children.values())
    assert "Traceback" not in running.system.logs()


async def _cursor(caller: Caller) -> str:
    """The place behind all events."""
    page = await caller.get("/v1/events?limit=1")
    found: str = page["next"]
    return found


async def test_a_store_for_other_processes_ends_ours_with_the_message_of_the_start(
    running: Running,
) -> None:
    with Redis.from_url(running.system.redis.url) as redis:
        redis.hset("rb:meta", "schema", "99")
    for _, child in running.children():
        assert await asyncio.to_thread(child.wait) == 2
        assert "ringback: Redis holds schema 99, this process expects" in child.log()
