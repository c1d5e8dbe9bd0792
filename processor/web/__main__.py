"""One web process: uvicorn in our own loop, drained by a signal."""

import asyncio
import functools
import logging
import sys

import structlog
import uvicorn

from processor.config import Settings, require_keys
from processor.errors import ConfigError
from processor.service.events.tail import MAX_LISTENERS
from processor.service.runtime.context import Context
from processor.service.runtime.open_files import raise_open_files
from processor.service.runtime.outage import Outage, wait_until_ready
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

DRAIN = 8  # seconds that calls under way may take to end
KEEP_ALIVE = 75  # seconds between requests: longer than proxies wait, so that none finds it closed
CONNECTIONS = 4096  # and as many as may listen; beyond them idle ones give way

SWITCH = 0.001  # seconds that a thread which reads a large push may keep the event loop waiting

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Serve until the task is canceled."""
    require_keys(settings)
    for source in settings.sources.values():
        if source.why_unusable:
            log.warning("source_unusable", source=source.name, reason=source.why_unusable)
        if source.why_reruns_unseen:
            log.warning("reruns_unseen", source=source.name, reason=source.why_reruns_unseen)
    sys.setswitchinterval(SWITCH)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # refusals are counted, not logged
    async with open_context(settings) as ours:
        health = Health(ours)
        health.checked = False
        guards = _guards(ours)
        server = ListeningServer(
            uvicorn.Config(
                build(ours, health),
                host=settings.host,
                port=settings.port,
                http=functools.partial(BoundedProtocol, guards=guards),  # type: ignore[arg-type] # makes one
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=DRAIN,
            ),
            Listener(guards),
        )
        checking = asyncio.create_task(_check(ours, health))
        await _serve(server, health, checking)


def _guards(ours: Context) -> ProcessLimits:
    most = limit_of(CONNECTIONS + MAX_LISTENERS, raise_open_files())
    return ProcessLimits(BodyBudget(), ReadScheduler(), ConnectionLimit(most), ours.metrics.closed)


async def _check(ours: Context, health: Health) -> None:
    """Let calls in once Redis has answered, and as long as its data is for us; else ConfigError."""
    await wait_until_ready(ours.store, Outage("web"))
    async with watching_store(ours, "web") as watching:
        health.checked = True
        try:
            await watching
        except ConfigError:
            health.checked = False
            raise


async def _serve(server: uvicorn.Server, health: Health, checking: asyncio.Task[None]) -> None:
    """Serve; on a signal say so at /readyz, and end calls under way."""
    serving = asyncio.create_task(server._serve())  # noqa: SLF001 -- `serve` takes our signals
    try:
        await asyncio.wait({checking, serving}, return_when=asyncio.FIRST_COMPLETED)
        if checking.done():
            checking.result()
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        health.drain()
    finally:
        checking.cancel()
        server.should_exit = True
        await serving
        await asyncio.gather(checking, return_exceptions=True)


if __name__ == "__main__":
    main(run)
