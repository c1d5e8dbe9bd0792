"""Baseline (a), the receiver: verify, dedupe with SET NX, enqueue an arq job, answer 202."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from arq.connections import create_pool
from arq.constants import expires_extra_ms, job_key_prefix
from arq.jobs import serialize_job
from prometheus_client import Counter, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.contenders import arq_settings as settings, standard

PUSHES = Counter("pushes", "Pushes by what became of them", ["source", "outcome"])
COUNT = {o: PUSHES.labels(standard.SOURCE, o) for o in ("accepted", "duplicate", "refused")}


async def hook(request: Request) -> Response:
    """Take a push; 202 only once Redis holds the arq job."""
    body, now = await request.body(), time.time()
    message_id = standard.verified(dict(request.scope["headers"]), body, now)
    if message_id is None:
        COUNT["refused"].inc()
        return Response(status_code=401)
    push = standard.decode(body)
    fresh = await take(request.app.state.enqueue, message_id, push.id, body, now)
    COUNT["accepted" if fresh else "duplicate"].inc()
    content = standard.ACCEPTED if fresh else standard.DUPLICATE
    return Response(content, 202, media_type="application/json")


async def take(enqueue, message_id: str, job: str, body: bytes, now: float) -> bool:
    """Do what arq's `enqueue_job` does, and the dedupe, in one round trip instead of four."""
    due = int(now * 1000)
    arq_job = serialize_job(
        "push", (message_id, body, now), {}, None, due, serializer=settings.encode
    )
    keys = ("bench:seen:" + message_id, job_key_prefix + message_id, settings.queue_of(job))
    args = (settings.DEDUPE, expires_extra_ms, arq_job, message_id, due)
    return bool(await enqueue(keys=keys, args=args))


async def ready(request: Request) -> Response:
    """Tell the bench that the receiver is up."""
    await request.app.state.redis.ping()
    return Response()


async def metrics(_request: Request) -> Response:
    """Show the counters."""
    return Response(generate_latest(), media_type="text/plain")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Keep one pool of connections to Redis."""
    app.state.redis = await create_pool(
        settings.REDIS, job_serializer=settings.encode, job_deserializer=settings.decode
    )
    script = Path(__file__).with_name("arq_enqueue.lua").read_text()
    app.state.enqueue = app.state.redis.register_script(script)
    yield
    await app.state.redis.aclose()


routes = [
    Route("/hooks/bench", hook, methods=["POST"]),
    Route("/readyz", ready),
    Route("/metrics", metrics),
]
app = Starlette(routes=routes, lifespan=lifespan)
