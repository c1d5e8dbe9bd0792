"""Baseline (a), a worker: advance the job in Redis, match, sign, call back.

One arq job does all of it: a second one for the callback would pay arq's price a job
(seven round trips to Redis) again. A callback that fails becomes an arq job of its own.
"""

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from arq.worker import func, run_worker
from prometheus_client import Counter

from bench.contenders import arq_settings as settings, callbacks, standard

RANK = {"queued": 0, "running": 1, "succeeded": 2, "failed": 2, "canceled": 2, "expired": 2}
SCHEDULE = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)  # seconds, then given up
TRANSITIONS = Counter("transitions", "Moves by the state they lead to", ["source", "state"])
DELIVERIES = Counter("deliveries", "Callbacks by outcome", ["outcome"])
MOVED = {state: TRANSITIONS.labels(standard.SOURCE, state) for state in RANK}
DELIVERED = {True: DELIVERIES.labels("ok"), False: DELIVERIES.labels("failed")}


async def push(ctx: dict[str, Any], message_id: str, body: bytes, now: float) -> None:
    """Advance a push's job, and call back the subscriptions that match."""
    said = standard.decode(body)
    if not (moved := await advance(ctx["advance"], message_id, said, now)):
        return
    MOVED[said.status].inc()
    if matches := callbacks.matching(said.status, standard.SOURCE):
        content = callbacks.encode(callbacks.event(said, now, known(moved)))
        for one in matches:
            await deliver(ctx, f"evt_{message_id}_{one.name}", content, 0)


async def advance(script, message_id: str, said: standard.Push, now: float) -> list[Any]:
    """Run the script; return its answer."""
    key = f"bench:job:{standard.SOURCE}:{said.id}"
    progress = b"" if said.progress is None else said.progress
    args = (message_id, said.status, RANK[said.status], progress, bytes(said.result), now)
    moved: list[Any] = await script(
        keys=(key, key + ":history"), args=(*args, settings.KEPT, settings.HISTORY)
    )
    return moved


def known(moved: list[Any]) -> callbacks.JobLookup:
    """Read the script's answer: Redis gives bytes, whatever the script put in."""
    previous, sequence, created, started = moved
    return callbacks.JobLookup(previous.decode(), sequence, float(created), float(started or 0))


async def deliver(ctx: dict[str, Any], event_id: str, content: bytes, tries: int) -> None:
    """Call back; if that fails, again later."""
    ok = await callbacks.post(ctx["http"], settings.SINK, event_id, content, time.time())
    DELIVERED[ok].inc()
    if not ok and tries < len(SCHEDULE):
        await ctx["redis"].enqueue_job(
            "deliver", event_id, content, tries + 1, _defer_by=SCHEDULE[tries]
        )


async def startup(ctx: dict[str, Any]) -> None:
    """Open what all jobs of this worker share."""
    ctx["http"] = callbacks.session()
    script = Path(__file__).with_name("arq_advance.lua").read_text()
    ctx["advance"] = ctx["redis"].register_script(script)


async def shutdown(ctx: dict[str, Any]) -> None:
    """Close it."""
    await ctx["http"].close()


class Settings:
    """arq's own settings; which were tried is in README.md."""

    functions = (func(push, name="push"), func(deliver, name="deliver"))
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = settings.REDIS
    job_serializer = settings.encode
    job_deserializer = settings.decode
    max_jobs = 500
    poll_delay = 0.02
    keep_result = 0
    log_results = False


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.set_event_loop(uvloop.new_event_loop())
    run_worker(Settings, queue_name=settings.queue(int(sys.argv[1])))
