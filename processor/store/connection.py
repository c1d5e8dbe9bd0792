"""The connection to Redis: runs scripts by name and commands, and knows Redis' time."""

import asyncio
import re
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, cast

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from processor.errors import Overloaded, StoreUnavailable
from processor.store.error_translation import error_of, unavailable_reason
from processor.store.pool import Pool
from processor.store.refusals import Client
from processor.store.script_loader import bounded_scripts, scripts
from processor.store.watchdog import Watchdog

PERSISTENCE_INFO = ("INFO", "replication", "persistence")
HISTORY = re.compile(rb"^master_replid:(\w+)", re.MULTILINE)
TIMEOUT = 5.0  # seconds for an answer of Redis
NO_ANSWER = "Timeout reading from socket"
CLOCK_UNIT = 0.001  # seconds; scripts answer with whole milliseconds
CONNECTIONS = 32  # at most; a call that needs one more waits for it, up to TIMEOUT

Words = tuple[str | bytes | float, ...]
"""A command and its arguments."""


class Connection:
    """One pool of connections to one Redis, and the scripts loaded on it."""

    def __init__(
        self, url: str, connections: int = CONNECTIONS, watchdog: Watchdog | None = None
    ) -> None:
        """Connect lazily. Nothing is retried here: only callers know what is safe to repeat."""
        self.url = url
        self.watchdog = watchdog or Watchdog(url)
        self._pool = Pool.from_url(
            url,
            max_connections=connections,
            socket_connect_timeout=2.0,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
        )
        self._pool.at_connect = self._read_history  # type: ignore[method-assign] # a hook
        self._free = asyncio.Semaphore(connections)
        self.redis = Client.from_pool(self._pool)
        self.watchdog.at_return.append(self.drop_idle)
        self.scripts = scripts()  # now: later all file descriptors may be in use
        self.bounded_scripts = bounded_scripts()
        self._offset: float | None = None

    async def drop_idle(self) -> None:
        """Close idle connections: after an outage they may lead to a Redis that is gone, which does
        not help to close them.
        """
        with suppress(RedisError, OSError, RuntimeError):
            await self._pool.disconnect(inuse_connections=False)

    def with_own_pool(self, connections: int) -> "Connection":
        """The same Redis, with a pool of its own that other calls cannot use up."""
        return Connection(self.url, connections, self.watchdog)

    async def run(
        self,
        name: str,
        keys: Sequence[str],
        args: Sequence[str | bytes | float],
        *,
        bounded: bool = False,
    ) -> Any:
        """Run a script; StoreUnavailable if Redis cannot run it now.

        Overloaded if it is `bounded` and Redis is out of memory.
        """
        script = self.bounded_scripts[name] if bounded else self.scripts[name]
        rest = (len(keys), *keys, *args)
        try:
            return await self.command("EVALSHA", script.sha, *rest)
        except NoScriptError:  # the text itself works even if scripts are flushed again
            return await self.command("EVAL", script.text, *rest)

    async def _read_history(self, connection: Any) -> None:
        """Note to which Redis new connections lead; unknown if INFO is denied."""
        await connection.send_packed_command(pack_command(("INFO", "replication")))
        try:
            found = HISTORY.search(await connection.read_response())
        except ResponseError:
            found = None
        self.watchdog.history = found[1] if found else None

    async def renew(self) -> None:
        """Have a connection that is ready: a new one, if Redis has closed the idle one."""

        async def ready() -> None:
            await self._pool.release(await self._pool.get_connection())

        await self.ask(ready())

    async def persistence_info(self) -> bytes:
        """`INFO replication persistence`, as Redis wrote it."""
        return bytes(await self.command(*PERSISTENCE_INFO))

    async def command(self, *words: str | bytes | float) -> Any:
        """Run one command: half of what it takes by redis-py's method for it."""
        return await self.ask(self._send(words))

    async def _send(self, words: Words) -> Any:
        """Send a command, and read its answer."""
        packed = pack_command(words)
        connection = await self._pool.get_connection()
        try:
            await connection.send_packed_command(packed)
            return await connection.read_response()
        finally:
            await self._pool.release(connection)

    async def ask(self, call: Any) -> Any:
        """Await a call of redis-py.

        StoreUnavailable if Redis does not answer, or denies the call, or a key that all work needs
        has another type; WrongKeyType if it is a key that only this call needs; Overloaded if all
        connections stay in use, or Redis is out of memory.
        """
        try:
            await self._reserve_connection()
        except BaseException:
            call.close()  # it has not begun
            raise
        cancels = _cancels()
        limit, limits = asyncio.timeout(TIMEOUT), self.watchdog.limits
        try:
            async with limit:
                limits.add(limit)
                answer = await cast("Awaitable[Any]", call)
        except (RedisError, OSError, RuntimeError) as error:  # uvloop: a transport that is closed
            if isinstance(error, TimeoutError) and limit.expired():
                raise self._no_answer() from error
            if _cancels() > cancels:
                raise asyncio.CancelledError from error
            limits.discard(limit)  # it is over, also while connections are closed
            if isinstance(error, ReadOnlyError):  # demoted: its address may lead to another Redis
                await self.drop_idle()
            if ours := error_of(error, self.url):
                raise ours from error
            raise  # an internal error: not to be tried again
        finally:
            limits.discard(limit)
            self._free.release()
        if _cancels() > cancels:
            raise asyncio.CancelledError
        return answer

    async def _reserve_connection(self) -> None:
        """Wait until a connection is free, up to TIMEOUT, and keep it for this call."""
        if self._free.locked():
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._free.acquire()
            except TimeoutError:
                raise Overloaded("All connections to Redis are in use; try again") from None
        else:
            await self._free.acquire()
        if self.watchdog.silent:
            self._free.release()
            raise self.watchdog.error()

    def _no_answer(self) -> StoreUnavailable:
        """Why the limit of a call has ended it."""
        if self.watchdog.silent:
            return self.watchdog.error()
        return StoreUnavailable(unavailable_reason(self.url, TimeoutError(NO_ANSWER)))

    async def ask_each(self, pipe: Any, allowed: type[ResponseError]) -> list[Any]:
        """The answers to a pipeline; errors of the class `allowed` are answers too."""

        async def answers() -> list[Any]:
            rows: list[Any] = await pipe.execute(raise_on_error=False)
            for row in rows:
                if isinstance(row, Exception) and not isinstance(row, allowed):
                    raise row
            return rows

        found: list[Any] = await self.ask(answers())
        return found

    async def now(self) -> float:
        """Redis' time in seconds, by our monotonic clock: it lags by a network delay at most, and
        goes back only if Redis' clock does.
        """
        if self._offset is None:
            await self.synchronise()
        return time.monotonic() + (self._offset or 0.0)

    async def synchronise(self) -> None:
        """Read Redis' time; call this every few seconds, since our clock may have slept."""
        asked_at = time.monotonic()
        seconds, micros = await self.ask(self.redis.time())
        self.note_time(seconds + micros / 1e6, asked_at)

    def note_time(self, now: float, asked_at: float) -> None:
        """Note Redis' time from the answer to a call of `asked_at` (our monotonic clock).

        Redis read its clock some time between then and now. An offset that this allows is kept, so
        a slow answer does not move the time.
        """
        lowest, highest = now - time.monotonic(), now + CLOCK_UNIT - asked_at
        if self._offset is None or not lowest <= self._offset <= highest:
            self._offset = lowest

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()


def pack_command(call: Words) -> bytes:
    """A command in Redis' protocol; hiredis copies each argument three times, which takes about twice
    as long for a commit of 250 kB.
    """
    parts = [b"*%d" % len(call)]
    for argument in call:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts += (b"$%d" % len(data), data)
    parts.append(b"")
    return b"\r\n".join(parts)


def _cancels() -> int:
    """How often this task was cancelled: redis-py swallows a cancellation while it connects."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0
