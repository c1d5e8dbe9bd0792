"""Section: what accepted work will still take of Redis' memory.

The reserve (`processor/store/reserve.py`) is counted with prices for an update and a delivery.
Here updates of jobs with ids of 36 characters are accepted, taken into jobs, and delivered to some
subscriptions; Redis' `used_memory` is read after each step. Growth is counted in bytes an
update, beyond what there was once the updates were accepted. Nobody is called.
"""

import asyncio
import uuid
from pathlib import Path
from typing import NamedTuple

import msgspec
from redis import Redis

from bench import report
from bench.memory import AT_ONCE, CONFIG, SECRET, Context, claimed, deliver, running
from bench.report import Result
from bench.runner import Runner
from processor.model import Attempt, Delivery, Push
from processor.service.jobs import ingest as jobs_ingest, watch as jobs_watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.pushes import receive
from processor.store.work_items import Settlement

ERROR = "could not connect within 5 s"  # of a failed attempt, one of the longer ones
ATTEMPTS = 9  # that a delivery has made while it still waits
LATER = 3600.0  # seconds until the next
UPDATES = 1_000  # as many records as are kept of a subscription: later deliveries take less
STEPS = ("committed", f"failed {ATTEMPTS} times", "delivered")


class Case(NamedTuple):
    """What is measured."""

    name: str
    subscriptions: int
    result: int  # bytes


CASES = (
    Case("no subscription", 0, 0),
    Case("1 subscription", 1, 0),
    Case("10 subscriptions", 10, 0),
    Case("1 subscription, result of 3 kB", 1, 3_000),
    Case("1 subscription, result of 30 kB", 1, 30_000),
    Case("10 subscriptions, result of 30 kB", 10, 30_000),
)


async def accept(ours: Context, jobs: list[str], status: str, result: int) -> None:
    """Take one push for each job."""
    receiver = receive.Receiver(ours)
    source = receiver.source("lab")
    for start in range(0, len(jobs), AT_ONCE):
        bodies = [
            {"id": job, "status": status, "result": "x" * result}
            for job in jobs[start : start + AT_ONCE]
        ]
        pushes = [Push({}, msgspec.json.encode(body)) for body in bodies]
        await asyncio.gather(*(receiver.receive(source, one) for one in pushes))


async def ingest(ours: Context) -> None:
    """Take all updates into jobs."""
    async for claims in claimed(ours, "ingest"):
        await jobs_ingest.ingest(ours, claims)


async def fail(ours: Context) -> None:
    """Note attempts that failed on every delivery that waits."""
    attempt = Attempt(at=1_795_341_600.123, seconds=5.123456, error=ERROR)
    later = await ours.store.now() + LATER
    async for claims in claimed(ours, "deliver"):
        settled = []
        for claim in claims:
            one = msgspec.json.decode(claim.payload, type=Delivery)
            tried = msgspec.structs.replace(one, attempts=(attempt,) * ATTEMPTS)
            settled.append(Settlement(claim, later, msgspec.json.encode(tried), failed=True))
        await ours.store.backlogs.settle(settled)


def make_due(redis: Redis) -> None:
    """Make all that failed due now."""
    for key in redis.scan_iter("*retries:deliver:*"):
        redis.zadd(key, dict.fromkeys(redis.zrange(key, 0, -1), 0))  # type: ignore[arg-type]
        redis.zadd("{rb:0}:lanes:deliver", {key.decode().partition("retries:deliver:")[2]: 0})


async def watch(ours: Context, jobs: list[str]) -> None:
    """PUT jobs."""
    for job in jobs:
        await jobs_watch.watch(ours, "lab", job, WatchRequest())


async def measure(runner: Runner) -> Result:
    """Measure every case, then jobs that are watched."""
    count, rows = runner.size(UPDATES), []
    for case in CASES:
        with runner.folder(case.name) as folder:
            rows.append((case.name, *(f"{size:,.0f}" for size in await steps(folder, case, count))))
    with runner.folder("watched") as folder:
        each = await watched(folder, count)
    head = (f"memory beyond what {count:,} updates took when accepted", *STEPS)
    line = f"A watched job that waits for its deadline takes {each:,.0f} bytes."
    return Result([report.table(head, rows), line], [], {"rows": rows, "watched": each})


async def steps(folder: Path, case: Case, count: int) -> list[float]:
    """Return the bytes an update after each step."""
    subscriptions = "".join(
        f'[subscriptions.more{n}]\nurl = "http://127.0.0.1:9/{n}"\nsecret = "{SECRET}"\n'
        for n in range(1, case.subscriptions)
    )
    config = CONFIG if case.subscriptions else CONFIG.partition("[subscriptions")[0]
    jobs = [str(uuid.uuid4()) for _ in range(count)]
    async with running(folder, config + subscriptions) as (ours, redis):
        await ours.store.connection.synchronise()
        await accept(ours, jobs, "done", case.result)
        used = [_used(redis)]
        await ingest(ours)
        used.append(_used(redis))
        await fail(ours)
        used.append(_used(redis))
        make_due(redis)
        await deliver(ours)
        used.append(_used(redis))
    return [(now - used[0]) / count for now in used[1:]]


async def watched(folder: Path, count: int) -> float:
    """Return the bytes of a job that is watched and waits for its deadline."""
    async with running(folder) as (ours, redis):
        await ours.store.connection.synchronise()
        used = _used(redis)
        await watch(ours, [str(uuid.uuid4()) for _ in range(count)])
        return (_used(redis) - used) / count


def _used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])
