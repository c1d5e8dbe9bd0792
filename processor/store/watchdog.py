"""Notices that Redis is silent, and ends the calls that wait for it.

A half-open connection or a stopped Redis answers nothing, and each call would wait for the whole
socket timeout. The watchdog asks PING on a connection of its own: while that is not answered,
calls fail at once, so that a provider gets its 503 while it still waits for an answer.
"""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, ResponseError  # noqa: A004 -- redis-py's name

from processor.errors import StoreUnavailable
from processor.store.error_translation import error_of

PING_EVERY = 0.5  # seconds between an answer and the next PING
SILENT_AFTER = 1.0  # seconds without an answer to a PING
NO_ANSWER = f"Redis has not answered a PING for {SILENT_AFTER:g} s"
LATE = 0.25  # seconds that this event loop may be late before a timeout does not count


class Watchdog:
    """Watches one Redis for one process."""

    def __init__(self, url: str) -> None:
        """Until `run`, calls are limited by their own timeouts alone."""
        self._url = url
        self.silent = False  # whether the last PING was not answered
        self.history: bytes | None = None  # the id of Redis' data, as it was read last
        self._reason = NO_ANSWER
        self.limits: set[asyncio.Timeout] = set()  # of the calls in flight, without an end as yet
        self.at_return: list[Callable[[], Awaitable[None]]] = []  # called before calls may continue

    async def run(self) -> None:
        """Ask PING until cancelled."""
        redis, task = Redis.from_url(self._url, max_connections=1), asyncio.current_task()
        try:
            while task:
                await self._ping(redis)
                if task.cancelling():  # redis-py may swallow the cancellation itself
                    break
                await asyncio.sleep(PING_EVERY)
        finally:
            await redis.aclose()

    async def _ping(self, redis: Redis) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + SILENT_AFTER
        try:
            async with asyncio.timeout_at(ends):
                await redis.ping()
        except (ResponseError, BusyLoadingError):
            await self._let_calls_go_on()  # a refusal is an answer too: calls get it themselves
        except TimeoutError:
            if loop.time() < ends + LATE:  # else this event loop was blocked
                self._end_calls(NO_ANSWER)
        except (
            RedisError,
            ConnectionError,
            OSError,
            RuntimeError,
        ) as error:  # uvloop: a closed transport
            self._end_calls(str(error_of(error, self._url)))
        else:
            await self._let_calls_go_on()

    async def _let_calls_go_on(self) -> None:
        if self.silent:
            for prepare in self.at_return:
                await prepare()
            self.silent = False

    def _end_calls(self, reason: str) -> None:
        self.silent, self._reason = True, reason
        now = asyncio.get_running_loop().time()
        while self.limits:
            limit = self.limits.pop()
            if not limit.expired():  # it cannot be rescheduled: it ends its call anyway
                limit.reschedule(now)

    def error(self) -> StoreUnavailable:
        """Why calls end while Redis is silent."""
        return StoreUnavailable(self._reason)
