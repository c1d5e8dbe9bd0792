"""Where an actor waits for its next nudge: on the event loop, for a moment, before it ends.

While it waits, a nudge starts its pump at once. Otherwise it comes to the consumer's thread, which
wakes a thread of Dramatiq, which wakes the loop: two changes of threads.
"""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from processor.service.runtime.outage import Outage
from processor.store.keys import Keys
from processor.store.pool import Pool

LONGEST_WAIT = 5.0  # seconds
TIMEOUT = 10.0  # seconds for an answer of Redis; longer than LONGEST_WAIT


class Nudges:
    """The nudges of all shards, for the actors of one process."""

    def __init__(self, url: str, shards: int, outage: Outage) -> None:
        """Connect lazily, in the running loop, with one connection for each actor that waits."""
        pool = Pool.from_url(url, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0))
        self._redis = Redis.from_pool(pool)
        self._shards = [Keys(n) for n in range(shards)]
        self._outage = outage
        self._waits: set[asyncio.Future[Any]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def next(self, backlog: str) -> bool:
        """Wait for a nudge; False on a timeout, when Redis is unavailable, or after `end`."""
        if self._ended.done():
            return False
        keys = [keys.nudge[backlog] for keys in self._shards]
        pop = asyncio.ensure_future(self._redis.blpop(keys, timeout=LONGEST_WAIT))
        self._waits.add(pop)
        pop.add_done_callback(self._waits.discard)
        waits = (pop, self._ended)
        await asyncio.wait(waits, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not pop.done():
            if not self._ended.done():
                pop.cancel()
                self._outage.began(f"Redis has not answered for {TIMEOUT:g} s")
            return False  # at the end `close` cancels it: redis-py may swallow that, and would wait
        try:
            return pop.result() is not None
        except (RedisError, OSError) as error:
            self._outage.began(error)
            return False

    def end(self) -> None:
        """End all waits, also those to come; a nudge that is lost is repeated by the clock."""
        self._ended.set_result(None)

    async def close(self) -> None:
        """Close the connections."""
        for pop in self._waits:
            pop.cancel()
        await self._redis.aclose()
        await asyncio.gather(*self._waits, return_exceptions=True)
