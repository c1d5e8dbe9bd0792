"""The connection to Redis: runs scripts by name and commands, and knows Redis' time."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
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

PERSISTENCE_INFO = ("INFO", "persistence")
TIMEOUT = 5.0  # seconds for an answer of Redis
NO_ANSWER = "Timeout reading from socket"
CLOCK_UNIT = 0.001  # seconds; scripts answer with whole milliseconds
CONNECTIONS = 32  # at most; a call that needs one more waits for it, up to TIMEOUT


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
        self._free = asyncio.Semaphore(connections)
        self.redis = Client.from_pool(self._pool)
        self.watchdog.at_return.append(self.drop_idle)
        self.scripts = scripts()  # now: later all file descriptors may be in use
        self.bounded_scripts = bounded_scripts()
        self._offset: float | None = None

    async def drop_idle(self) -> None:
        """Close idle connections: after an outage they may lead to a Redis that is gone."""
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
        (answer,) = await self._run(name, keys, args, bounded=bounded)
        return answer

    async def run_with_persistence_info(
        self,
        name: str,
        keys: Sequence[str],
        args: Sequence[str | bytes | float],
        *,
        bounded: bool = False,
    ) -> tuple[Any, bytes]:
        """Run a script, and read `INFO persistence` right after it; empty if that is refused."""
        answer, file = await self._run(name, keys, args, PERSISTENCE_INFO, bounded=bounded)
        return answer, b"" if isinstance(file, ResponseError) else file

    async def persistence_info(self) -> bytes:
        """`INFO persistence`, as Redis wrote it."""
        return bytes(await self.command(*PERSISTENCE_INFO))

    async def command(self, *words: str | bytes | float) -> Any:
        """Run one command: half of what it takes by redis-py's method for it."""
        (answer,) = await self.ask(self._send(words))
        return answer

    async def _run(
        self,
        name: str,
        keys: Sequence[str],
        args: Sequence[str | bytes | float],
        *more: tuple[str, ...],
        bounded: bool = False,
    ) -> list[Any]:
        script = self.bounded_scripts[name] if bounded else self.scripts[name]
        rest = (len(keys), *keys, *args)
        try:
            answers: list[Any] = await self.ask(self._send(("EVALSHA", script.sha, *rest), *more))
        except NoScriptError:  # the text itself works even if scripts are flushed again
            answers = await self.ask(self._send(("EVAL", script.text, *rest), *more))
        return answers

    async def _send(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Send commands together, and read their answers. Raises the error of the first command; an
        error of another one is its answer.
        """
        packed = b"".join([pack_command(call) for call in calls])
        connection = await self._pool.get_connection()
        answers: list[Any] = []
        try:
            await connection.send_packed_command(packed)
            for _ in calls:
                try:
                    answers.append(await connection.read_response())
                except ResponseError as error:
                    answers.append(error)
        finally:
            await self._pool.release(connection)
        if isinstance(answers[0], ResponseError):
            raise answers[0]
        return answers

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


def pack_command(call: tuple[str | bytes | float, ...]) -> bytes:
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
