"""Admission by memory: what comes in must leave room for what is already accepted.

Every process looks at Redis now and then, the oftener the less room there is. In between it counts
what it has let in itself; what other receivers let in at the same time the accept script counts,
against a ceiling that the look gives.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from processor.errors import Overloaded
from processor.store import reserve
from processor.store.keys import Keys
from processor.store.memory import Memory, MemoryUse
from processor.store.subscriptions import Subscriptions

LONGEST, SHORTEST = 1.0, 0.1  # seconds between looks
AGAIN = 0.02  # where the last one saw no room
FILLS = 32 * 1024 * 1024  # bytes a second that a busy fleet may come to write
QUIET = 10.0  # seconds without a refusal until memory counts as recovered
PIECES = 64  # of the limit: what one step of work may hold in Redis beside the data
SMALLEST_PIECE, LARGEST_PIECE = 256 * 1024, 4 * 1024 * 1024  # bytes
FEWEST, MOST = 10, 500  # deliveries of a subscription that wait where memory is short
SHARED = 2  # pieces that those of all subscriptions take

log = structlog.get_logger()


class MemoryBudget:
    """What one process knows of the room that is left."""

    def __init__(self, memory: Memory, targets: Subscriptions, shards: Sequence[Keys]) -> None:
        """Know of no limit until the first look."""
        self._memory = memory
        self._targets = targets
        self._shards = shards
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")  # monotonic
        self._room_seen = 0  # by the last look
        self._room = 0  # less what was let in since
        self._promised = 0  # to what is being written
        self._on_the_way = 0  # the same at the last look: it was let in, and may end
        self._refused_at = float("-inf")
        self._refusing = False
        self.use = MemoryUse(0)
        self.reserved = 0  # bytes

    @property
    def short(self) -> bool:
        """Whether there is no room for anything more."""
        return bool(self.use.limit) and self._room_seen <= 0

    @property
    def piece(self) -> int:
        """How many bytes one step of work takes at once: they count as memory while it does."""
        if not self.use.limit:
            return LARGEST_PIECE
        return min(max(self.use.limit // PIECES, SMALLEST_PIECE), LARGEST_PIECE)

    @property
    def may_poll(self) -> bool:
        """Whether polls may bring more; like pushes they wait where they cannot, but later."""
        return self.use.fullness < reserve.POLLS_FULL

    async def may_wait(self, price: int, body: int, subscriptions: int) -> int | None:
        """How many deliveries of a subscription may wait; the others stay in the log.

        None: as many as are configured, since there is room for `price` bytes more of them. `body`
        is the size of the largest of their events; they share what little there is.
        """
        if not self.use.limit:
            return None
        if price > self._room:
            await self.refresh(AGAIN)
        if price > self._room:
            each = reserve.delivery_price(body) * max(subscriptions, 1)
            return min(max(SHARED * self.piece // each, FEWEST), MOST)
        self._room -= price
        return None

    async def refresh_now(self) -> float:
        """Read the memory that is used; the seconds until the next time."""
        promised = self._promised  # what is written during the read may be in it, or not
        use = await self._memory.read()
        router = await self._targets.current(self._shards[0])
        self.use, self._looked_at = use, time.monotonic()
        self.reserved = reserve.reserve(use, router.fan_out)
        self._room_seen = reserve.room(use, self.reserved)
        self._on_the_way = max(promised, self._promised, 0)
        self._room = self._room_seen - self._on_the_way
        if self._refusing and not self.short and self._looked_at - self._refused_at > QUIET:
            self._refusing = False
            log.info("memory_recovered", used=use.used, reserved=self.reserved, maxmemory=use.limit)
        return self._interval()

    async def refresh(self, age: float | None = None) -> None:
        """Read again if the last read is too old, or older than `age` seconds."""
        async with self._looking:
            most = self._interval() if age is None else age
            if time.monotonic() - self._looked_at > most:
                await self.refresh_now()

    async def fan_out(self, source: str) -> int:
        """How many subscriptions may hear of a source."""
        return (await self._targets.router(self._shards[0])).fan_out(source)

    def ceiling(self, shard: int) -> int | None:
        """How far the sum of the prices of a shard's pushes may go; None without a limit."""
        if not self.use.limit:
            return None
        return self.use.taken[shard] + max(self._room_seen, self._on_the_way) // len(self._shards)

    @asynccontextmanager
    async def admitted(self, price: int) -> AsyncIterator[None]:
        """Let something in that takes so many bytes; Overloaded where there is no room for it."""
        if self._lacks(price):
            await self.refresh(AGAIN)
        if self._lacks(price):
            raise self.refused(price)
        self._room -= price
        self._promised += price
        try:
            yield
        finally:
            self._promised -= price

    def _lacks(self, price: int) -> bool:
        return bool(price and self.use.limit) and price > self._room

    def refused(self, price: int) -> Overloaded:
        """What a caller gets that there is no room for; the log is told of the first."""
        use, self._refused_at = self.use, time.monotonic()
        if not self._refusing:
            self._refusing = True
            log.warning(
                "memory_short",
                used=use.used,
                reserved=self.reserved,
                maxmemory=use.limit,
                wanted=price,
                remedy="raise maxmemory, or wait until what waits is delivered",
            )
        return Overloaded(
            f"Redis has no room for this beside what is accepted already: of {use.limit} bytes "
            f"{use.used} are used and {self.reserved} reserved for what waits, {price} more are "
            f"needed, and {reserve.FULL:.0%} may be taken. Send it again later, or raise maxmemory"
        )

    def _interval(self) -> float:
        """Seconds until room may have become short."""
        if not self.use.limit:
            return LONGEST
        return min(max(self._room / FILLS, SHORTEST), LONGEST)
