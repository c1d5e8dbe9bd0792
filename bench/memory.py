"""Section: what jobs, events and deliveries take of Redis' memory.

Jobs of a job id of 36 characters are pushed three times each (running, progress, succeeded),
and delivered to one subscription. Redis' `used_memory` is read between the steps, then
the `MEMORY USAGE` of every key is summed by the rows of the table in `processor.store.keys`.
The deliveries are ended as after one good attempt; nobody is called.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from redis import Redis

from bench import report
from bench.report import Result
from bench.runner import Runner
from processor.cli.embedded_redis import EmbeddedRedis
from processor.config import load
from processor.model import Attempt, Delivery, Push
from processor.service.jobs import ingest
from processor.service.pushes import receive
from processor.service.runtime.context import Context
from processor.service.runtime.process import open_context
from processor.store.work_items import Claim, LaneLimits, Settlement

WIDE = LaneLimits(1_000)
JOBS = 10_000
AT_ONCE = 200  # in one script
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
CONFIG = f"""\
providers = "profiles"

[sources.lab]
provider = "lab"
track = "all"

[subscriptions.app]
url = "http://127.0.0.1:9/hook"
secret = "{SECRET}"
"""
PROFILE = """\
[push]
id = "/id"
status = "/status"
progress = { at = "/progress", of = 1 }
event_id = "/event"
result = "/result"

[states]
running = "running"
done = "succeeded"
"""
RESULT = {"url": "https://cdn.example.com/videos/" + "a" * 40 + "/1080p.mp4", "duration": 61.5}
UPDATES = (
    {"status": "running"},
    {"status": "running", "progress": 0.5},
    {"status": "done", "progress": 1, "result": RESULT},
)


NAMES = ("a push: running", "a push: progress", "a push: succeeded, a delivery waits")


async def push(ours: Context, jobs: Sequence[str], update: dict[str, object]) -> None:
    """Take one push for each job, and ingest them all."""
    receiver = receive.Receiver(ours)
    source = receiver.source("lab")
    for start in range(0, len(jobs), AT_ONCE):
        bodies = [
            {"id": job, "event": f"{job}-{update}", **update}
            for job in jobs[start : start + AT_ONCE]
        ]
        pushes = [Push({}, msgspec.json.encode(body)) for body in bodies]
        await asyncio.gather(*(receiver.receive(source, one) for one in pushes))
        async for claims in claimed(ours, "ingest"):
            await ingest.ingest(ours, claims)


async def claimed(ours: Context, backlog: str) -> AsyncIterator[list[Claim]]:
    """Claim all that is due, a batch at a time."""
    keys = ours.store.shards[0]
    while claims := await ours.store.backlogs.claim(keys, backlog, AT_ONCE, lambda _: WIDE):
        yield claims


async def deliver(ours: Context) -> None:
    """End every delivery that waits, as one that arrived at the first attempt."""
    async for claims in claimed(ours, "deliver"):
        await ours.store.backlogs.settle([ended(claim) for claim in claims])


def ended(claim: Claim) -> Settlement:
    """Say how a delivery ended, and record it."""
    one = msgspec.json.decode(claim.payload, type=Delivery)
    attempt = Attempt(at=time.time(), seconds=0.012, status=200)
    fields = msgspec.to_builtins(msgspec.structs.replace(one, attempts=(attempt,)))
    record = msgspec.json.encode({"state": "delivered", "reason": None, **fields})
    return Settlement(claim, event=one.event_id, target=one.target, record=record, delivered=True)


def by_key(redis: Redis, jobs: int) -> dict[str, float]:
    """Return what the keys of each kind take, in bytes a job; less than one is left out."""
    found: Counter[str] = Counter()
    for key in redis.scan_iter(count=1000):
        kind = key.decode().partition("}:")[2].partition(":")[0] or key.decode()
        found[kind] += redis.memory_usage(key, samples=0)
    return {kind: size / jobs for kind, size in found.most_common() if size > jobs}


@asynccontextmanager
async def running(folder: Path, config: str = CONFIG) -> AsyncIterator[tuple[Context, Redis]]:
    """Run a Redis of our own, with the use cases on it."""
    (folder / "profiles").mkdir()
    (folder / "profiles" / "lab.toml").write_text(PROFILE)
    (folder / "ringback.toml").write_text(config)
    server = EmbeddedRedis(folder)
    settings = load(folder / "ringback.toml", {"REDIS_URL": server.start()})
    try:
        async with open_context(settings) as ours:
            yield ours, Redis.from_url(server.url)
    finally:
        server.stop()


async def measure(runner: Runner) -> Result:
    """Push and deliver so many jobs."""
    count = runner.size(JOBS)
    with runner.folder("memory") as folder:
        steps, kinds = await measured(count, folder)
    rows = [(name, f"{size:+,.0f}") for name, size in steps.items()]
    rows.append(("a finished job, its delivery ended", f"{sum(steps.values()):,.0f}"))
    pending, ended = kinds
    keys = [
        (kind, *(f"{part.get(kind, 0.0):,.0f}" for part in kinds)) for kind in {**pending, **ended}
    ]
    tables = [
        report.table((f"memory of Redis, {count:,} jobs", "bytes a job"), rows),
        report.table(("keys", "bytes a job, delivery pending", "delivery ended"), keys),
    ]
    return Result(tables, [], {"steps": steps, "pending": pending, "ended": ended})


async def measured(
    count: int, folder: Path
) -> tuple[dict[str, float], tuple[dict[str, float], dict[str, float]]]:
    """Return the bytes a job that each step added, and those of the keys before and after."""
    jobs, steps = [str(uuid.uuid4()) for _ in range(count)], {}
    async with running(folder) as (ours, redis):
        await ours.store.connection.synchronise()
        used = redis.info("memory")["used_memory"]

        def step(name: str) -> None:
            nonlocal used
            now = redis.info("memory")["used_memory"]
            steps[name], used = (now - used) / count, now

        for name, update in zip(NAMES, UPDATES, strict=True):
            await push(ours, jobs, update)
            step(name)
        pending = by_key(redis, count)
        used = redis.info("memory")["used_memory"]
        await deliver(ours)
        step("its delivery ends")
        return steps, (pending, by_key(redis, count))
