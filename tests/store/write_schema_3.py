"""Writes `schema_3.json`: a store as commit 91f1d38, the last version with schema 3, left it.

    git worktree add /tmp/schema3 91f1d38
    cd /tmp/schema3 && PYTHONPATH=. python …/tests/store/write_schema_3.py …/tests/store/schema_3.json

The code of that tag writes all of it, over two shards: jobs that ended, run, are polled or are past
their deadline, with aliases and callbacks; pushes that wait; deliveries that arrived, that failed for
good, that wait to be retried, that wait behind another one of their job, and that are left in the
log; claims of a worker that died; secrets sealed and plain. Keys are kept as their values, not as
DUMP gives them: that may be read whole, and by every Redis.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from processor.cli.embedded_redis import EmbeddedRedis
from processor.config import load
from processor.egress import Egress
from processor.model import Push, Retention
from processor.service.delivery.deliver import Deliverer
from processor.service.jobs import ingest, watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.pushes.receive import Receiver
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.process import egress_policy
from processor.service.subscriptions import manage, update
from processor.service.subscriptions.manage import CreateSubscription
from processor.store import Store
from processor.store.work_items import LaneLimits
from processor.vault import MasterKey, Vault

COMMIT = "91f1d38"
SECRET = "whsec_c2VjcmV0IG9mIHRoZSBzdWJzY3JpYmVyLCBtYWRlIHVw"  # what the sink of the tests verifies
PORT = 1999
NOBODY = f"http://127.0.0.1:{PORT}/"  # where the subscribers were, and are not any more
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
canceled = "canceled"
"""
CONFIG = (
    'providers = "profiles"\n[sources.feed]\nprovider = "lab"\nbase_url = "http://127.0.0.1:1999"\n'
    '[egress]\nallow = ["127.0.0.1"]\n'
)
FAST = LaneLimits(1000)


class Writer:
    """The use cases of that commit, with few words."""

    def __init__(self, context: Context) -> None:
        """Take pushes and make deliveries, too."""
        self.context, self.store = context, context.store
        self._receiver, self._deliverer = Receiver(context), Deliverer(context)

    async def push(self, *jobs: str, status: str = "succeeded", **more: Any) -> None:
        """Accept a push for each job."""
        for job in jobs:
            body = json.dumps({"id": job, "status": status, **more}).encode()
            await self._receiver.receive(self._receiver.source("feed"), Push({}, body))

    async def ingest(self) -> None:
        """Take all that is accepted into its jobs."""
        for keys in self.store.shards:
            if claims := await self.store.backlogs.claim(keys, "ingest", 200, lambda _: FAST):
                await ingest.ingest(self.context, claims)

    async def deliver(self) -> None:
        """Make one attempt at each delivery that is due."""
        for keys in self.store.shards:
            if claims := await self.store.backlogs.claim(keys, "deliver", 500, lambda _: FAST):
                prepared = await self._deliverer.read(claims)
                await asyncio.gather(*map(self._deliverer.deliver, prepared))

    async def delivered(self, *jobs: str, **more: Any) -> None:
        """Push jobs, and deliver their events while the subscribers answer."""
        async with subscribers():
            await self.push(*jobs, **more)
            await self.ingest()
            await self.deliver()

    async def subscribe(self, **settings: Any) -> str:
        """Make a subscription."""
        request = CreateSubscription(**{"url": NOBODY, "secret": SECRET} | settings)
        return (await manage.create(self.context, request)).id

    async def watch(self, job: str, **request: Any) -> None:
        """PUT a job."""
        await watch.watch(self.context, "feed", job, WatchRequest(**request))


@asynccontextmanager
async def subscribers() -> AsyncIterator[None]:
    """Subscribers that accept what succeeded, and want no more deliveries of what was canceled."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.text()
        refused = "job.canceled" in body or '"state":"canceled"' in body
        headers = {"webhook-delivery": "abort-message"} if refused else {}
        return web.Response(status=400 if refused else 200, headers=headers)

    server = web.Application()
    server.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    yield
    await runner.cleanup()


async def write(plain: Writer, sealed: Writer) -> dict[str, str]:
    """Everything, once; the subscriptions by what is special about them."""
    subs = {"plain": await plain.subscribe(), "sealed": await sealed.subscribe()}
    subs["disabled"] = await sealed.subscribe()
    await update.disable(
        sealed.context, await manage.get(sealed.context, subs["disabled"]), "answered 410"
    )
    subs["ordered"] = await sealed.subscribe(
        ordered=True, events=("job.started", "job.completed"), headers={"x-key": "open-sesame"}
    )
    # Deliveries that ended: some arrived, and the subscribers refused the others for good.
    await sealed.delivered("done-1", "done-2", "done-3")
    await sealed.delivered("refused-1", "refused-2", status="canceled")
    # Deliveries that failed once, and wait to be tried again; behind them events of their order.
    await sealed.push("retried-1", "retried-2", status="running")
    await sealed.ingest()
    await sealed.push("retried-1", "retried-2", alias="other")
    await sealed.ingest()
    await sealed.deliver()
    await sealed.push(*(f"failed-{n}" for n in range(4)), status="failed")
    await sealed.ingest()
    subs["full"] = await sealed.subscribe(sources=["feed"])  # more than may wait: left in the log
    await sealed.push(*(f"left-{n}" for n in range(12)))
    await sealed.ingest()
    # Jobs with timers, callbacks and other names.
    callback = {"callback_url": NOBODY, "callback_secret": SECRET}
    await sealed.watch("polled", aliases=["p1", "p2"], **callback)
    await plain.watch("polled-2", metadata={"n": 1})
    await sealed.watch("late", deadline="1s", poll=False)
    await sealed.watch("quiet", deadline="60d", poll=False)
    await sealed.watch("gone", poll=False)
    await watch.unwatch(sealed.context, "feed", "gone")
    await sealed.store.stall("elsewhere", "HTTP 401")
    # A worker that died with claims in its hands, and pushes that nobody has looked at.
    await sealed.push("claimed-1", "claimed-2")
    for keys in sealed.store.shards:
        await sealed.store.backlogs.claim(keys, "ingest", 10, lambda _: FAST)
        await sealed.store.backlogs.claim(keys, "deliver", 1, lambda _: FAST)
    await sealed.store.heartbeat("worker-dead", sealed.context.metrics.dump())
    await sealed.push(*(f"waiting-{n}" for n in range(6)))
    await sealed.push("p1", status="running")
    await sealed.push("gone")
    return subs


async def dump(store: Store) -> dict[str, Any]:
    """Every key: type, ms to live (or -1), value."""
    redis, found = store.connection.redis, {}
    for name in sorted(await redis.keys("*")):
        kind = (await redis.type(name)).decode()
        read: dict[str, Any] = {
            "string": redis.get,
            "hash": redis.hgetall,
            "list": lambda n: redis.lrange(n, 0, -1),
            "set": redis.smembers,
            "zset": lambda n: redis.zrange(n, 0, -1, withscores=True),
            "stream": redis.xrange,
        }
        found[name.decode()] = [kind, await redis.pttl(name), _text(await read[kind](name))]
    return found


def _text(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode()
        case dict():
            return {_text(k): _text(v) for k, v in sorted(value.items())}
        case set():
            return sorted(map(_text, value))
        case list() | tuple():
            return [_text(one) for one in value]
        case _:
            return value


async def made() -> str:
    """The text of the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "profiles").mkdir()
        (folder / "profiles/lab.toml").write_text(PROFILE)
        (folder / "ringback.toml").write_text(CONFIG)
        server = EmbeddedRedis(folder / "data")
        settings = load(folder / "ringback.toml", {"RINGBACK_SHARDS": "2"})
        keep, vault = Retention(waiting=8), Vault([MasterKey("k1", b"1" * 32)])
        url = server.start()
        stores = [Store(url, shards=2, keep=keep, vault=v) for v in (None, vault)]
        async with Egress(egress_policy(settings)) as egress:
            contexts = [Context(settings, one, egress, Metrics()) for one in stores]
            await stores[0].check()
            subs = await write(*map(Writer, contexts))
            now = await stores[0].now()
            keys = await dump(stores[0])
        for one in stores:
            await one.close()
        server.kill()
    head = {"commit": COMMIT, "by": "tests/store/write_schema_3.py", "made": now, "subs": subs}
    rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in keys.items())
    return f'{{"provenance": {json.dumps(head)},\n"keys": {{\n{rows}\n}}}}\n'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(made()))
