"""Notices that Redis, or its data, was replaced, and makes this process start over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import structlog

from processor.errors import ConfigError, Unavailable
from processor.service.runtime import ticks
from processor.service.runtime.context import Context
from processor.store.fleet import Found
from processor.store.names import new_uid
from processor.store.replacement import Replacement

CHECK_INTERVAL = 1.0  # seconds
LOST = (Replacement.EMPTIED, Replacement.EXCHANGED)

log = structlog.get_logger()


@asynccontextmanager
async def watching_store(context: Context, kind: str) -> AsyncIterator[asyncio.Task[NoReturn]]:
    """A task that checks while this process runs; it can only end with a ConfigError."""
    name = f"{kind}-{new_uid()[:6]}"
    watching = asyncio.create_task(watch_store(context, name))
    try:
        yield watching
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        with suppress(Unavailable):
            await context.store.fleet.leave(name)


async def watch_store(context: Context, name: str) -> NoReturn:
    """Check without end, as process `name`; ConfigError if the new data is not for this process."""
    while True:
        try:
            found = await context.store.fleet.check_replaced(name)
            if found:
                await _start_over(context, name, found)
                continue
        except Unavailable:
            pass  # the work of this process fails too, and logs it
        except ConfigError:
            raise
        except Exception:
            log.exception("background_task_error")
        await ticks.pause(CHECK_INTERVAL)


async def _start_over(context: Context, name: str, found: Found) -> None:
    """Forget what was read, and join the new data; in an emptied Redis this creates the store."""
    if found.what.whole:
        log.info("redis_restarted", process=name)
    else:
        say = log.error if found.what in LOST else log.warning
        say("redis_replaced", process=name, what=found.what.value, lost_seconds=found.lost)
        context.metrics.replaced(found.what.value)
        context.store.forget()
    await context.store.connection.synchronise()
