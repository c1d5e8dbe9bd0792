"""`python bench/reserve.py`: what accepted work will still take of Redis' memory.

The reserve (`processor/store/reserve.py`) is counted with prices for an update and a delivery.
Here updates of jobs with ids of 36 characters are accepted, taken into jobs, and delivered to some
subscriptions; Redis' `used_memory` is looked at behind each step. Growth is counted in bytes an
update, beyond what there was once the updates were accepted. Nobody is called.
"""

import argparse
import asyncio
import sys
import tempfile
import uuid
from pathlib import Path
from typing import NamedTuple

import msgspec
from memory import AT_ONCE, CONFIG, SECRET, Context, claimed, deliver, running
from redis import Redis

from processor.model import Attempt, Delivery, Push
from processor.service.jobs import ingest as jobs_ingest, watch as jobs_watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.pushes import receive
from processor.store.work_items import Settlement

ERROR = "could not connect within 5 s"  # of a failed attempt, one of the longer ones
ATTEMPTS = 9  # that a delivery has made while it still waits
LATER = 3600.0  # seconds until the next


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


def fall_due(redis: Redis) -> None:
    """Have all that failed be due."""
    for key in redis.scan_iter("*retries:deliver:*"):
        redis.zadd(key, dict.fromkeys(redis.zrange(key, 0, -1), 0))  # type: ignore[arg-type]
        redis.zadd("{rb:0}:lanes:deliver", {key.decode().partition("retries:deliver:")[2]: 0})


async def watch(ours: Context, jobs: list[str]) -> None:
    """PUT jobs."""
    for job in jobs:
        await jobs_watch.watch(ours, "lab", job, WatchRequest())


async def measure(case: Case, count: int) -> list[str]:
    """Return a case's lines."""
    with tempfile.TemporaryDirectory() as folder:
        subscriptions = "".join(
            f'[subscriptions.more{n}]\nurl = "http://127.0.0.1:9/{n}"\nsecret = "{SECRET}"\n'
            for n in range(1, case.subscriptions)
        )
        config = CONFIG if case.subscriptions else CONFIG.partition("[subscriptions")[0]
        async with running(Path(folder), config + subscriptions) as (ours, redis):
            return await _steps(ours, redis, case, count)


async def watched(count: int) -> list[str]:
    """Return what jobs take that are watched and wait for their deadline."""
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as (ours, redis):
            await ours.store.connection.synchronise()
            used = _used(redis)
            await watch(ours, [str(uuid.uuid4()) for _ in range(count)])
            return [f"a watched job: {(_used(redis) - used) / count:,.0f}"]


async def _steps(ours: Context, redis: Redis, case: Case, count: int) -> list[str]:
    jobs = [str(uuid.uuid4()) for _ in range(count)]
    await ours.store.connection.synchronise()
    used = [_used(redis)]
    await accept(ours, jobs, "done", case.result)
    used.append(_used(redis))
    await ingest(ours)
    used.append(_used(redis))
    await fail(ours)
    used.append(_used(redis))
    fall_due(redis)
    await deliver(ours)
    used.append(_used(redis))
    names = ("accepted", "committed", f"failed {ATTEMPTS} times", "delivered")
    steps = (
        f"{name} {(now - used[0]) / count:,.0f}" for name, now in zip(names, used[1:], strict=True)
    )
    return [f"{case.name}: {', '.join(steps)}"]


def _used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2_000)
    count = parser.parse_args().jobs
    sys.stdout.write(f"{count} updates; bytes an update more than before it was accepted\n")
    for case in CASES:
        sys.stdout.write("\n".join(asyncio.run(measure(case, count))) + "\n")
        sys.stdout.flush()
    sys.stdout.write("\n".join(asyncio.run(watched(count))) + "\n")


if __name__ == "__main__":
    main()
