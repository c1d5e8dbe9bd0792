"""Fills the queues of arq's workers with callbacks, as `enqueue_job` would but in pipelines.

`python -m bench.delivery.fill_arq RUN COUNT`, in arq's environment; `arq_worker` makes them.
"""

import asyncio
import sys
import time

from arq.connections import create_pool
from arq.constants import expires_extra_ms, job_key_prefix
from arq.jobs import serialize_job

from bench.contenders import arq_settings as settings
from bench.delivery import events

AT_ONCE = 500  # callbacks in one pipeline


async def fill(run: int, count: int) -> None:
    """Write every callback, hashed to the worker that will make it."""
    redis = await create_pool(settings.REDIS)
    for first in range(0, count, AT_ONCE):
        pipe = redis.pipeline(transaction=False)
        for number in range(first, min(first + AT_ONCE, count)):
            event, due = events.event_id(run, number), int(time.time() * 1000)
            args = (event, events.body(run, number), 0)
            job = serialize_job("deliver", args, {}, None, due, serializer=settings.encode)
            pipe.psetex(job_key_prefix + event, expires_extra_ms, job)
            pipe.zadd(settings.queue_of(event), {event: due})
        await pipe.execute()
    await redis.aclose()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1]), int(sys.argv[2])))
