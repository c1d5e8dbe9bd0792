"""Baseline (b): an in-memory relay that keeps nothing, the upper limit of what can be had without durability.

One process: receives, verifies, answers 202, matches, signs and calls back. No dedupe,
no job state, no history, no retry; whatever it holds is lost with it.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.contenders import callbacks, standard

SINK = os.environ["BENCH_SINK"]
SENDERS = 100  # callbacks in flight at a time
outbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()


async def hook(request: Request) -> Response:
    """Take a push and leave its callbacks to the senders."""
    body, now = await request.body(), time.time()
    message_id = standard.verified(dict(request.scope["headers"]), body, now)
    if message_id is None:
        return Response(status_code=401)
    push = standard.decode(body)
    if matches := callbacks.matching(push.status, standard.SOURCE):
        content = callbacks.encode(callbacks.event(push, now))
        for one in matches:
            outbox.put_nowait((f"evt_{message_id}_{one.name}", content))
    return Response(standard.ACCEPTED, 202, media_type="application/json")


async def ready(_request: Request) -> Response:
    """Tell the bench that the relay is up."""
    return Response()


async def send(http: callbacks.aiohttp.ClientSession) -> None:
    """Call back everything in the outbox, forever."""
    while True:
        event_id, body = await outbox.get()
        await callbacks.post(http, SINK, event_id, body, time.time())


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Keep the senders running as long as the server."""
    async with callbacks.session() as http:
        senders = [asyncio.create_task(send(http)) for _ in range(SENDERS)]
        yield
        for sender in senders:
            sender.cancel()


routes = [Route("/hooks/bench", hook, methods=["POST"]), Route("/readyz", ready)]
app = Starlette(routes=routes, lifespan=lifespan)
