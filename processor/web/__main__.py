"""One web process: uvicorn in our own event loop, drained by a signal."""

import asyncio
import contextlib
import functools
import logging
import os
import sys

import structlog
import uvicorn

from processor.config import Settings, require_keys
from processor.errors import ConfigError
from processor.service.events.tail import MAX_LISTENERS
from processor.service.runtime.context import Context
from processor.service.runtime.listening_sockets import INHERITED, listening_sockets
from processor.service.runtime.open_files import raise_open_files
from processor.service.runtime.outage import wait_until_ready
from processor.service.runtime.process import main, open_context
from processor.service.runtime.store_watch import watching_store
from processor.web.app import build
from processor.web.body_budget import BodyBudget
from processor.web.connection_limit import ConnectionLimit, limit_of
from processor.web.health import Health
from processor.web.listener import Listener, ListeningServer
from processor.web.process_limits import ProcessLimits
from processor.web.protocol import BoundedProtocol
from processor.web.read_scheduler import ReadScheduler

FIRST_CHECK = 2.0  # seconds that a receiver of `up` waits for Redis before it answers 503
DRAIN_TIMEOUT = 8  # seconds for calls in progress, at the end
KEEP_ALIVE = 75  # seconds between requests: longer than proxies wait, so that they close first
MAX_CONNECTIONS = 4096  # beside the listeners; beyond them idle ones are closed

SWITCH_INTERVAL = 0.001  # seconds that a thread with a large push may delay the event loop

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Serve until the task is canceled."""
    require_keys(settings)
    for source in settings.sources.values():
        if source.why_unusable:
            log.warning("source_unusable", source=source.name, reason=source.why_unusable)
        if source.why_orphaned:
            log.warning("pushes_held", source=source.name, reason=source.why_orphaned)
        if source.why_reruns_unseen:
            log.warning("reruns_unseen", source=source.name, reason=source.why_reruns_unseen)
    sys.setswitchinterval(SWITCH_INTERVAL)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # refusals are counted, not logged
    sockets = listening_sockets(settings.host, settings.port)
    async with open_context(settings) as ours:
        health = Health(ours)
        health.checked = False
        limits = _limits(ours)
        server = ListeningServer(
            uvicorn.Config(
                build(ours, health),
                http=functools.partial(BoundedProtocol, limits=limits),  # type: ignore[arg-type] # makes one
                ws="none",
                interface="asgi3",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=DRAIN_TIMEOUT,
            ),
            Listener(limits, sockets),
        )
        ready = asyncio.Event()
        checking = asyncio.create_task(_check(ours, health, ready))
        await _serve(server, health, checking, ready)


def _limits(ours: Context) -> ProcessLimits:
    connections = limit_of(MAX_CONNECTIONS + MAX_LISTENERS, raise_open_files())
    return ProcessLimits(
        BodyBudget(), ReadScheduler(), ConnectionLimit(connections), ours.metrics.closed
    )


async def _check(ours: Context, health: Health, ready: asyncio.Event) -> None:
    """Accept calls once Redis answers, while its data is ours; ConfigError if it is not."""
    await wait_until_ready(ours.store, health.outage)
    async with watching_store(ours, "web") as watching:
        health.checked = True
        ready.set()
        try:
            await watching
        except ConfigError:
            health.checked = False
            raise


async def _listen(server: ListeningServer, ready: asyncio.Event) -> None:
    """Serve. Who replaces another waits until Redis has answered: until then all answers are 503."""
    if INHERITED in os.environ:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CHECK):
                await ready.wait()
    if not server.should_exit:
        await server._serve()  # noqa: SLF001 -- `serve` takes our signals


async def _serve(
    server: ListeningServer, health: Health, checking: asyncio.Task[None], ready: asyncio.Event
) -> None:
    """Serve; on a signal report it at /readyz, and end the calls in progress."""
    serving = asyncio.create_task(_listen(server, ready))
    try:
        await asyncio.wait({checking, serving}, return_when=asyncio.FIRST_COMPLETED)
        if checking.done():
            checking.result()
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        health.drain()
    finally:
        checking.cancel()
        server.stop()
        ready.set()
        await serving
        await asyncio.gather(checking, return_exceptions=True)


if __name__ == "__main__":
    main(run)
