"""Where an actor waits for its next nudge: on the event loop, for a moment, before it ends.

While it waits, a nudge starts its pump at once. Otherwise it comes to the consumer's thread, which
wakes a thread of Dramatiq, which wakes the loop: two changes of threads. The actor can also send
its next claim behind the wait: Redis then runs it as soon as the nudge comes.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from processor.service.runtime.outage import Outage
from processor.store.connection import Words, pack_command
from processor.store.error_translation import error_of
from processor.store.keys import Keys
from processor.store.pool import Pool

LONGEST_WAIT = 5.0  # seconds
ANSWERED_WITHIN = LONGEST_WAIT + 1.0  # seconds, unless Redis hangs
TIMEOUT = 10.0  # seconds for an answer of Redis; longer than LONGEST_WAIT
LATE = 0.2  # seconds for an answer that lies ready
END_TIMEOUT = 1.0  # seconds for the end of a wait, and the answers to what was sent behind it
WAKE_KEPT = 60  # seconds that the key lasts that ends a wait, should the wait have ended by itself


class Nudges:
    """The nudges of all shards, for the actors of one process."""

    def __init__(self, url: str, shards: int, outage: Outage) -> None:
        """Connect lazily, in the running loop, with one connection for each actor that waits."""
        self._url = url
        pool = Pool.from_url(url, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0))
        self._redis = Redis.from_pool(pool)
        self._shards = [Keys(n) for n in range(shards)]
        self._outage = outage
        self._waits: set[asyncio.Future[Any]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._uid = secrets.token_hex(4)

    async def next(self, backlog: str, behind: Sequence[Words] = ()) -> tuple[bool, list[Any]]:
        """Wait for a nudge; Redis then runs the commands `behind`, also if none has come in time.

        Returns whether one came, and what Redis answered to each command, or the error. Without
        answers Redis is unavailable, or the waits have ended.
        """
        if self._ended.done():
            return False, []
        keys = [keys.nudge[backlog] for keys in self._shards]
        wake = self._shards[0].wake(backlog, self._uid)
        ask = asyncio.ensure_future(self._ask(("BLPOP", *keys, wake, LONGEST_WAIT), *behind))
        self._waits.add(ask)
        ask.add_done_callback(self._end_wait)
        waits = (ask, self._ended)
        await asyncio.wait(waits, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not ask.done():
            if not self._ended.done():
                await asyncio.wait((ask,), timeout=LATE)  # it is there if we ourselves were stopped
            elif behind:
                await self._wake(wake, ask)
        if not ask.done():
            if behind or not self._ended.done():
                ask.cancel()  # else `close` does it: redis-py may swallow that, and would wait
            if not self._ended.done():
                self._outage.began(f"Redis has not answered for {TIMEOUT:g} s")
            return False, []
        try:
            popped, *answers = ask.result()
        except (RedisError, OSError) as error:
            self._failed(error)
            return False, []
        if isinstance(popped, ResponseError):
            self._failed(popped)
            return False, answers
        return popped is not None and not self._ended.done(), answers

    def _end_wait(self, ask: asyncio.Future[Any]) -> None:
        """Forget what was asked, and look at its error: nobody waits for it any more at a drain."""
        self._waits.discard(ask)
        if not ask.cancelled():
            ask.exception()

    def _failed(self, error: Exception) -> None:
        self._outage.began(error_of(error, self._url) or error)

    async def _ask(self, *commands: Words) -> list[Any]:
        """Send commands in one packet, and read their answers; an error that Redis answers is one."""
        pool: Any = self._redis.connection_pool
        connection = await pool.get_connection()
        answers: list[Any] = []
        try:
            await connection.send_packed_command(b"".join(map(pack_command, commands)))
            for _ in commands:
                try:
                    answers.append(await connection.read_response())
                except ResponseError as error:
                    answers.append(error)
        finally:
            await pool.release(connection)
        return answers

    async def _wake(self, key: str, ask: asyncio.Future[list[Any]]) -> None:
        """End a wait: what is behind it must not run when nobody reads the answer any more."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                pipe = self._redis.pipeline(transaction=False)
                end_wait(pipe, key)
                await pipe.execute()
                await asyncio.wait((ask,))

    def end(self) -> None:
        """End all waits, also those to come; a nudge that is lost is repeated by the clock."""
        self._ended.set_result(None)

    async def close(self) -> None:
        """Close the connections."""
        for pop in self._waits:
            pop.cancel()
        await self._redis.aclose()
        await asyncio.gather(*self._waits, return_exceptions=True)


def end_wait(pipe: Any, key: str) -> None:
    """Put into a pipeline of redis-py, of either kind, what ends the wait that has this key."""
    pipe.rpush(key, "1")
    pipe.expire(key, WAKE_KEPT)
