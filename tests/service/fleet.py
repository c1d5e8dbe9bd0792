"""A receiver and a worker in this process, on a Redis of their own with little memory."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from redis import Redis

from processor.config import load
from processor.egress import Policy
from processor.errors import Overloaded, Unavailable
from processor.model import HttpResponse, Push, Subscription
from processor.service.pushes.receive import Receiver
from processor.service.replay.overflow import catch_up
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.outage import Outage
from processor.store import Store
from workers import pumps

MIB = 1024 * 1024
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONFIG = """\
providers = "."

[sources.lab]
provider = "lab"
base_url = "https://lab.example"
track = "all"
trust = "event"
"""
PROFILE = """\
[push]
each = "/updates"
id = "/id"
status = "/status"
result = "/result"

[poll]
request = "GET /jobs/{id}"
every = ["1h", "2h"]
status = "/status"

[states]
running = "running"
succeeded = "succeeded"
"""


class Subscribers:
    """All subscribers, in place of the network."""

    policy = Policy()

    def __init__(self) -> None:
        """Accept everything."""
        self.status = 200
        self.got: dict[tuple[str, str], set[str]] = defaultdict(set)  # ids, by URL and job

    async def request(self, method: str, url: str, **more: Any) -> HttpResponse:  # noqa: ARG002 -- egress' signature
        """Receive one event."""
        if self.status == HTTPStatus.OK:
            job = json.loads(more["body"])["data"]["id"]
            self.got[url, job].add(more["headers"]["webhook-id"])
        return HttpResponse(self.status, {}, b"", 0.001)

    @property
    def came(self) -> int:
        """How many completions have arrived, of all subscribers together."""
        return len(self.got)

    def ids_a_job(self) -> set[int]:
        """The numbers of ids with which the completion of a job reached a subscriber."""
        return {len(ids) for ids in self.got.values()}


class Fleet:
    """The processes that run."""

    def __init__(self, context: Context, redis: Redis, subscribers: Subscribers) -> None:
        """Nothing works yet."""
        self.context, self.redis, self.subscribers = context, redis, subscribers
        self.receiver = Receiver(context)
        self.peak = 0.0  # the highest fullness that was seen
        self.accepted = self.refused = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._over = False

    async def push(
        self, jobs: Sequence[str], status: str = "succeeded", result: Any = None
    ) -> bool:
        """Send one push about jobs; whether it was accepted."""
        updates = [{"id": job, "status": status, "result": result} for job in jobs]
        body = json.dumps({"updates": updates}).encode()
        try:
            receipt = await self.receiver.receive(self.receiver.source("lab"), Push({}, body))
        except Overloaded:
            self.refused += 1
            return False
        assert receipt.accepted == len(jobs)
        self.accepted += len(jobs)
        return True

    async def subscribe(self, count: int) -> None:
        """Make subscriptions, each with a URL of its own."""
        for number in range(count):
            one = Subscription(
                id=f"sub_{number:02}", url=f"https://{number}.example", secrets=(SECRET,)
            )
            await self.context.store.subscriptions.save(one)

    def work(self) -> None:
        """Start a worker and a clock."""
        outage = Outage("test")
        running = pumps.all_pumps(self.context, outage)
        ingesting, delivering = running["ingest"], running["deliver"]

        async def run(step: Any) -> None:
            while not self._over:  # a cancellation may be lost within redis-py
                with suppress(Unavailable):  # Redis may be slow on a busy machine
                    await step()
                await asyncio.sleep(0.01)

        async def bring() -> None:
            await asyncio.sleep(min(await catch_up(self.context), 0.25))

        async def give_back() -> None:
            await ingesting.give_back()
            await delivering.give_back()

        steps = (ingesting.run, delivering.run, bring, give_back)
        self._tasks += [asyncio.create_task(run(step)) for step in steps]

    async def record_peak(self) -> None:
        """Record how full Redis gets."""
        while True:
            info: dict[str, int] = self.redis.info("memory")  # type: ignore[assignment]
            used = info["used_memory"] - info["mem_not_counted_for_evict"]
            self.peak = max(self.peak, used / (info["maxmemory"] or used * 100))
            await asyncio.sleep(0.02)

    def limit_to_fullness(self, part: float) -> None:
        """Set Redis' limit so that this part of it is used."""
        info: dict[str, int] = self.redis.info("memory")  # type: ignore[assignment]
        self.limit(int(info["used_memory"] / part))

    def make_due(self) -> None:
        """Make all deliveries that wait for another attempt due now."""
        limit: dict[str, str] = self.redis.config_get("maxmemory")  # type: ignore[assignment]
        self.limit(0)  # it may be full, and would refuse this
        for key in self.redis.scan_iter("*retries:deliver:*"):
            for item in self.redis.zrange(key, 0, -1):  # type: ignore[union-attr]
                self.redis.zadd(key, {item: 0})
            name = key.decode().partition("retries:deliver:")[2]
            self.redis.zadd("{rb:0}:lanes:deliver", {name: 0})
        for key in ("{rb:0}:paused:deliver", "{rb:0}:failure_scores"):
            self.redis.delete(key)
        self.limit(int(limit["maxmemory"]))

    def limit(self, maxmemory: int) -> None:
        """Set Redis' limit."""
        self.redis.config_set("maxmemory", maxmemory)

    def used(self) -> float:
        """How full Redis is."""
        info: dict[str, int] = self.redis.info("memory")  # type: ignore[assignment]
        return info["used_memory"] / info["maxmemory"]

    async def close(self) -> None:
        """Stop the processes after their current step."""
        self._over = True
        await asyncio.gather(*self._tasks)
        self._tasks, self._over = [], False


@asynccontextmanager
async def fleet(
    url: str, folder: Path, maxmemory: int, subscriptions: int = 1
) -> AsyncIterator[Fleet]:
    """A fleet on an emptied Redis."""
    (folder / "lab.toml").write_text(PROFILE)
    (folder / "ringback.toml").write_text(CONFIG)
    settings = load(folder / "ringback.toml", {"REDIS_URL": url})
    subscribers, store = Subscribers(), Store(url)
    with Redis.from_url(url) as redis:
        redis.config_set("maxmemory", 0)
        redis.flushall()
        redis.script_flush("SYNC")  # the memory of Lua, too: megabytes after a test
        redis.config_set("maxmemory", maxmemory)
        context = Context(settings, store, subscribers, Metrics())  # type: ignore[arg-type]
        made = Fleet(context, redis, subscribers)
        await made.subscribe(subscriptions)
        await made.receiver.refresh()
        recording = asyncio.create_task(made.record_peak())
        try:
            yield made
        finally:
            recording.cancel()
            await made.close()
            await store.close()
            redis.config_set("maxmemory", 0)
