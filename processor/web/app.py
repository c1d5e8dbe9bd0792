"""The routes of the API, and their handlers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from processor.errors import StoreUnavailable
from processor.service.events.tail import Tailer
from processor.service.polling.statistics import write_statistics
from processor.service.pushes.receive import Receiver
from processor.service.runtime.context import Context
from processor.service.runtime.outage import run_periodically
from processor.web import openapi
from processor.web.auth import Authentication
from processor.web.dashboard import routes as dashboard_routes
from processor.web.events import Events
from processor.web.groups import Groups
from processor.web.health import Health
from processor.web.hooks import PATH, Hooks
from processor.web.jobs import Jobs
from processor.web.mcp.endpoint import Mcp
from processor.web.mcp.exchange import Services
from processor.web.metrics import Metrics
from processor.web.mirror import Mirror
from processor.web.mirror_routes import MirrorRoot, MirrorRoutes
from processor.web.problems import explain, handle
from processor.web.rate_limit import Handler, KeylessRateLimit, LargeReadLimit
from processor.web.request_body import Json
from processor.web.sources import Sources
from processor.web.subscriptions import Subscriptions

ALIVE = "/healthz"
MCP = "/mcp"


def build(context: Context, health: Health) -> ASGIApp:
    """The whole application, ready to be served."""
    outage = health.outage
    receiver, tailer, calls = Receiver(context), Tailer(context.store), KeylessRateLimit()
    health.at_drain.append(tailer.release)
    write = partial(write_statistics, context)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(context.store.connection.watchdog.run()),
            asyncio.create_task(run_periodically(outage, receiver.refresh)),
            asyncio.create_task(run_periodically(outage, health.redis_check.check)),
            asyncio.create_task(run_periodically(outage, write, calls_redis=False)),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await tailer.close()

    mirrors = MirrorRoutes(context.settings.sources.values())
    mcp = Mcp(Services(context, tailer, LargeReadLimit()))
    app = Starlette(
        routes=[
            *routes(context, tailer, health, calls),
            *dashboard(context, health),
            route(MCP, POST=mcp.post),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: handle},
    )
    app.state.persistence = context.store.persistence
    app.router.redirect_slashes = False  # no second URL for the same call
    hooks = Hooks(receiver, context.metrics, calls)
    guarded = Authentication(app, context.settings, calls, mirrors)
    return PathRouter(health, hooks, MirrorRoot(guarded, mirrors))


def routes(
    context: Context, tailer: Tailer, health: Health, calls: KeylessRateLimit
) -> list[Route]:
    """Every call of the API except pushes."""
    large = LargeReadLimit().limit
    jobs, events = Jobs(context, tailer), Events(context, tailer)
    subscriptions, mirror = Subscriptions(context), Mirror(context, tailer)
    groups, group = Groups(context, tailer), "/v1/groups/{group}"
    job, subscription = "/v1/jobs/{source}/{id}", "/v1/subscriptions/{id}"
    return [
        route("/v1/jobs", GET=large(jobs.list)),
        route("/v1/jobs/poll", POST=jobs.poll_all),
        route(job, GET=jobs.get, PUT=jobs.put, DELETE=jobs.delete),
        route(f"{job}/history", GET=large(jobs.history)),
        route(f"{job}/poll", POST=jobs.poll),
        route(f"{job}/callbacks", GET=jobs.callbacks),
        route(f"{job}/callbacks/{{callback}}", DELETE=jobs.delete_callback),
        route("/v1/wait", GET=groups.wait, POST=groups.wait),
        route("/v1/groups", GET=large(groups.list), POST=groups.post),
        route(group, GET=groups.get, DELETE=groups.delete),
        route(f"{group}/close", POST=groups.close),
        route(f"{group}/jobs", GET=large(groups.members)),
        route(f"{group}/jobs/{{source}}/{{id}}", PUT=groups.put_member),
        route("/v1/subscriptions", GET=large(subscriptions.list), POST=subscriptions.post),
        route(
            subscription,
            GET=subscriptions.get,
            PATCH=subscriptions.patch,
            DELETE=subscriptions.delete,
        ),
        route(f"{subscription}/enable", POST=subscriptions.enable),
        route(f"{subscription}/replay", POST=subscriptions.replay),
        route(f"{subscription}/rotate", POST=subscriptions.rotate),
        route(f"{subscription}/public-key", GET=subscriptions.public_key),
        route(f"{subscription}/test", POST=subscriptions.test),
        route("/v1/deliveries", GET=large(subscriptions.deliveries)),
        route("/v1/deliveries/retry", POST=subscriptions.retry_all),
        route("/v1/deliveries/{id}/retry", POST=subscriptions.retry),
        route("/v1/events", GET=large(events.get)),
        route("/v1/sources", GET=Sources(context).list),
        route("/mirror/{source}/final/{path:path}", GET=mirror.final),
        route("/mirror/{source}/{path:path}", GET=mirror.get),
        route(ALIVE, GET=rate_limited(calls, health.alive)),
        route("/readyz", GET=rate_limited(calls, health.ready)),
        route("/metrics", GET=Metrics(context).get),
        route("/openapi.json", GET=_openapi),
    ]


def dashboard(context: Context, health: Health) -> list[Route]:
    """The pages of the dashboard, and its actions."""
    pages = dashboard_routes.routes(context, health)
    return [route(path, **handlers) for path, handlers in pages.items()]


def route(path: str, **handlers: Handler) -> Route:
    """One path with all its methods, so that a 405 can list them; errors become problems.

    What a call has changed is in the file of Redis before its response.
    """

    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        persistence, history = request.app.state.persistence, None
        try:
            if method != "GET":
                history = await persistence.history_now()
            response = await handlers[method](request)
            if method != "GET":
                await persistence.written(history)
        except Exception as error:  # noqa: BLE001 -- any error gets a response
            return explain(error)
        return response

    return Route(path, answer, methods=list(handlers))


def rate_limited(calls: KeylessRateLimit, handler: Handler) -> Handler:
    """A handler that needs no key, within the rate limit of the caller's address."""

    async def answer(request: Request) -> Response:
        await calls.wait(request.scope)
        return await handler(request)

    return answer


async def _openapi(_: Request) -> Response:
    return Json(openapi.document())


class PathRouter:
    """Passes pushes to the receiver, and other calls to the router, by the path as it was sent:
    so `a%2Fb` stays one segment. Until Redis has answered, only /healthz is served.
    """

    def __init__(self, health: Health, hooks: ASGIApp, rest: ASGIApp) -> None:
        self._health = health
        self._hooks = hooks
        self._rest = rest

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Replace the decoded path by the raw one, strip the values of headers, and pass on.

        Not a coroutine function, which would add a step to each push: `interface="asgi3"` tells
        uvicorn what it cannot see then.
        """
        app = self._rest
        if scope["type"] == "http":
            path = scope["path"] = (scope.get("raw_path") or b"").decode("latin-1") or scope["path"]
            if path.startswith(PATH):
                app = self._hooks
            else:  # httptools leaves blanks after values; the receiver strips them as it decodes
                scope["headers"] = [(name, value.strip()) for name, value in scope["headers"]]
            if not self._health.checked and path != ALIVE:
                app = explain(
                    StoreUnavailable(
                        "Redis has not answered yet, or its data is not ours; try again"
                    )
                )
        return app(scope, receive, send)
