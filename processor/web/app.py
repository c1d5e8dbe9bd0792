"""The routes: what is served, and by whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from processor.errors import RingbackError
from processor.service.accepting import Receiver
from processor.service.context import Context
from processor.service.running import patiently
from processor.service.tailing import Tailer
from processor.web import openapi
from processor.web.access import Access
from processor.web.bodies import Json
from processor.web.events import Events
from processor.web.health import Health
from processor.web.hooks import PATH, Hooks
from processor.web.jobs import Jobs
from processor.web.mirror import Mirror
from processor.web.problems import handle
from processor.web.sources import Sources
from processor.web.subscriptions import Subscriptions


def build(context: Context, health: Health) -> ASGIApp:
    """The whole application, ready to be served."""
    receiver, tailer = Receiver(context), Tailer(context.store)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        looking = asyncio.create_task(patiently("web", receiver.look))
        yield
        looking.cancel()
        await tailer.close()

    app = Starlette(
        routes=routes(context, tailer, health),
        lifespan=lifespan,
        exception_handlers={RingbackError: handle, HTTPException: handle, Exception: handle},
    )
    return Front(Hooks(receiver, context.metrics), Access(app, context.settings))


def routes(context: Context, tailer: Tailer, health: Health) -> list[BaseRoute]:
    """Every call but the receiver's."""
    jobs, events = Jobs(context, tailer), Events(context, tailer)
    subscriptions, mirror = Subscriptions(context), Mirror(context)
    job, subscription = "/v1/jobs/{source}/{id}", "/v1/subscriptions/{id}"
    return [
        Route("/v1/jobs", jobs.list, methods=["GET"]),
        Route(job, jobs.get, methods=["GET"]),
        Route(job, jobs.put, methods=["PUT"]),
        Route(job, jobs.delete, methods=["DELETE"]),
        Route(f"{job}/history", jobs.history, methods=["GET"]),
        Route(f"{job}/poll", jobs.poll, methods=["POST"]),
        Route("/v1/subscriptions", subscriptions.list, methods=["GET"]),
        Route("/v1/subscriptions", subscriptions.post, methods=["POST"]),
        Route(subscription, subscriptions.get, methods=["GET"]),
        Route(subscription, subscriptions.delete, methods=["DELETE"]),
        Route(f"{subscription}/rotate", subscriptions.rotate, methods=["POST"]),
        Route(f"{subscription}/test", subscriptions.test, methods=["POST"]),
        Route("/v1/deliveries", subscriptions.deliveries, methods=["GET"]),
        Route("/v1/events", events.get, methods=["GET"]),
        Route("/v1/sources", Sources(context).list, methods=["GET"]),
        Route("/mirror/{source}/{path:path}", mirror.get, methods=["GET"]),
        Route("/healthz", health.alive, methods=["GET"]),
        Route("/readyz", health.ready, methods=["GET"]),
        Route("/metrics", health.metrics, methods=["GET"]),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]


async def _openapi(_: Request) -> Response:
    return Json(openapi.document())


class Front:
    """Sends pushes to the receiver, and all else to the router, by the path as it was sent:
    so `a%2Fb` stays one segment.
    """

    def __init__(self, hooks: ASGIApp, rest: ASGIApp) -> None:
        """Take the two."""
        self._hooks = hooks
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the raw path in the place of the decoded one, and pass on."""
        app = self._rest
        if scope["type"] == "http":
            path = scope["path"] = (scope.get("raw_path") or b"").decode("latin-1") or scope["path"]
            if path.startswith(PATH):
                app = self._hooks
        await app(scope, receive, send)
