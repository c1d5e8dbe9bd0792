"""What every process does around its work: start, speak in lines, stay patient, stop."""

import asyncio
import gc
import logging
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import structlog
import uvloop

from processor import vault
from processor.config import Settings, load
from processor.egress import Egress, Policy
from processor.errors import (
    ConfigError,
    StoreUnavailable,
    Unavailable,
    WrongKeyType,
    WrongRedisUrl,
)
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.open_files import raise_open_files
from processor.store import Store
from processor.vault import Vault

PATIENCE = 1.0  # seconds between tries while Redis is away
RECOVERED_AFTER = 2 * PATIENCE  # seconds without a failure until an outage is over
GC = (20_000, 20, 50)  # our values are frozen and make no cycles: look for those less often

log = structlog.get_logger()


def main(process: Callable[[Settings], Coroutine[object, object, None]]) -> None:
    """Run a process until SIGTERM or SIGINT; exit 2 when the configuration is wrong."""
    settings = settings_or_exit()
    warn_about_settings(settings)
    with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as r:
        r.run(_until_signal(process(settings)))


def settings_or_exit() -> Settings:
    """The settings in force; one line and exit 2 when they are wrong."""
    configure_logging()
    raise_open_files()
    gc.freeze()  # what was imported stays
    gc.set_threshold(*GC)
    try:
        settings = load()
        policy(settings)
    except ConfigError as error:
        exit_with(error)
    return settings


def warn_about_settings(settings: Settings) -> None:
    """Say once what is set in vain, and that secrets are kept plain where others are served."""
    for doubt in settings.warnings:
        log.warning("variable_ignored", variable=doubt.variable, remedy=doubt.remedy)
    if settings.api_keys and not settings.master_keys:
        log.warning("secrets_unencrypted", remedy=f"set {vault.NAME}; {vault.REMEDY}")


def exit_with(error: ConfigError) -> NoReturn:
    """End the process over a wrong configuration."""
    print(error_lines(error), file=sys.stderr)  # noqa: T201 -- for the person who started it
    raise SystemExit(2) from None


def error_lines(error: ConfigError) -> str:
    """What is wrong with the configuration, a line each."""
    return "\n".join(f"ringback: {line}" for line in str(error).splitlines())


async def _until_signal(process: Coroutine[object, object, None]) -> None:
    task = asyncio.ensure_future(process)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except ConfigError as error:
        exit_with(error)


@asynccontextmanager
async def context(settings: Settings) -> AsyncIterator[Context]:
    """Everything that the use cases need, in the running loop."""
    store = Store(
        settings.redis_url,
        shards=settings.shards,
        lease=settings.lease,
        keep=settings.keep,
        static=settings.subscriptions,
        vault=Vault(settings.master_keys),
    )
    try:
        async with Egress(policy(settings)) as egress:
            yield Context(settings, store, egress, Metrics())
    finally:
        await store.close()


def policy(settings: Settings) -> Policy:
    """What API-supplied URLs may reach; ConfigError where that cannot be read."""
    try:
        return Policy.parse(settings.egress_allow)
    except ValueError as error:
        raise ConfigError(f"{settings.file}: {error}") from error


class Outage:
    """Redis being away: one line when it goes, one when it is back.

    Some calls may succeed while others fail, as where only writes are refused. So it is over when
    a call succeeds and none has failed for a while.
    """

    def __init__(self, process: str) -> None:
        """Name the process, for the lines."""
        self._process = process
        self._away = False
        self._failed_at = 0.0  # on the monotonic clock
        self._lock = threading.Lock()  # Dramatiq's threads notice at the same moment

    def began(self, reason: object) -> None:
        """Redis did not answer, or refused."""
        self._failed_at = time.monotonic()
        if self._turned(away=True):
            log.warning("redis_unavailable", process=self._process, reason=str(reason))

    def ended(self) -> None:
        """Redis answered."""
        if time.monotonic() - self._failed_at > RECOVERED_AFTER and self._turned(away=False):
            log.info("redis_recovered", process=self._process)

    def _turned(self, *, away: bool) -> bool:
        with self._lock:
            was, self._away = self._away, away
        return was is not away


async def run_periodically(
    outage: Outage, step: Callable[[], Awaitable[float]], *, asks: bool = True
) -> None:
    """Repeat `step`, which says how long to wait, for ever, whether Redis is there or not.

    `asks`: it always asks Redis something, so that its end means that Redis is there.
    """
    said = ""
    while True:
        try:
            wait = await step()
            said = ""
            if asks:
                outage.ended()
        except StoreUnavailable as error:
            outage.began(error)
            wait = PATIENCE
        except WrongKeyType as error:  # it stays so until somebody acts: once is enough
            if str(error) != said:
                log.error("background_task_error", reason=str(error))  # noqa: TRY400 -- not a bug of ours
            said, wait = str(error), PATIENCE
        except Unavailable:  # a bound of ours, or somebody faster: no outage, and no mistake
            wait = PATIENCE
        except Exception:
            log.exception("background_task_error")
            wait = PATIENCE
        await asyncio.sleep(wait)


async def ready(store: Store, outage: Outage) -> None:
    """Wait until Redis answers and is of our schema and shards; ConfigError if it never will be."""
    while True:
        try:
            await store.check()
            await store.connection.synchronise()
        except WrongRedisUrl as error:
            raise ConfigError(f"REDIS_URL: {error}") from error
        except StoreUnavailable as error:
            outage.began(error)
            await asyncio.sleep(PATIENCE)
        except Unavailable:  # a new Redis that is full: it will have room some day
            await asyncio.sleep(PATIENCE)
        else:
            outage.ended()
            return


def configure_logging() -> None:
    """Log lines of JSON to stderr, those of our libraries too."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processor=structlog.processors.JSONRenderer(),
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
