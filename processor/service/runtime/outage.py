"""Outages of Redis: logged once, waited for, and survived by periodic tasks."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import structlog

from processor.errors import (
    ConfigError,
    MissingPermission,
    Overloaded,
    StoreUnavailable,
    Unavailable,
    WrongKeyType,
    WrongRedisUrl,
)
from processor.service.runtime import ticks
from processor.store import Store

REFUSALS = (WrongRedisUrl, MissingPermission, Overloaded, WrongKeyType)
RETRY_INTERVAL = 1.0  # seconds between tries while Redis is unavailable
RECOVERED_AFTER = 2 * RETRY_INTERVAL  # seconds without a failure until an outage is over

log = structlog.get_logger()


class Outage:
    """Logs one line when Redis becomes unavailable, and one when it has recovered. A refusal that
    somebody must mend is logged also if it comes later: Redis first closes the old connections.

    Some calls may succeed while others fail, for example if only writes are refused. So an outage
    ends when a call succeeds and none has failed for a while.
    """

    def __init__(self, process: str) -> None:
        """`process` is named in the lines."""
        self._process = process
        self._unavailable = False
        self._refusal = ""  # the last one that was logged
        self._failed_at = 0.0  # on the monotonic clock
        self._lock = threading.Lock()  # Dramatiq's threads call at the same moment

    def began(self, reason: object) -> None:
        """A call to Redis failed."""
        self._failed_at = time.monotonic()
        refusal = str(reason) if isinstance(reason, REFUSALS) else self._refusal
        if self._changed(unavailable=True) or refusal != self._refusal:
            self._refusal = refusal
            log.warning("redis_unavailable", process=self._process, reason=str(reason))

    def ended(self) -> None:
        """A call to Redis succeeded."""
        if time.monotonic() - self._failed_at > RECOVERED_AFTER and self._changed(
            unavailable=False
        ):
            self._refusal = ""
            log.info("redis_recovered", process=self._process)

    def _changed(self, *, unavailable: bool) -> bool:
        with self._lock:
            before, self._unavailable = self._unavailable, unavailable
        return before is not unavailable


async def run_periodically(
    outage: Outage, step: Callable[[], Awaitable[float]], *, calls_redis: bool = True
) -> None:
    """Repeat `step`, which returns the seconds to wait, until cancelled; an error does not end it.

    `calls_redis`: each step calls Redis, so that a step without an error means that it is there.
    """
    logged = ""
    while True:
        try:
            wait = await step()
            logged = ""
            if calls_redis:
                outage.ended()
        except StoreUnavailable as error:
            outage.began(error)
            wait = RETRY_INTERVAL
        except WrongKeyType as error:  # it stays until somebody repairs the key: log it once
            if str(error) != logged:
                log.error("background_task_error", reason=str(error))  # noqa: TRY400 -- not our bug
            logged, wait = str(error), RETRY_INTERVAL
        except Unavailable:  # a limit of ours, or a conflict: not an outage, and not an error
            wait = RETRY_INTERVAL
        except Exception:
            log.exception("background_task_error")
            wait = RETRY_INTERVAL
        await ticks.pause(wait)


async def wait_until_ready(store: Store, outage: Outage) -> None:
    """Wait until Redis answers and has our schema and shards; ConfigError if it never will."""
    while True:
        try:
            await store.check()
            await store.connection.synchronise()
        except WrongRedisUrl as error:
            raise ConfigError(f"REDIS_URL: {error}") from error
        except Unavailable as error:
            outage.began(error)
            await asyncio.sleep(RETRY_INTERVAL)
        else:
            outage.ended()
            return
