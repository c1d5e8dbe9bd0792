"""Admission by memory: new work must leave room for work that is already accepted.

Every process reads Redis' memory from time to time, more often if there is less room. In between it
counts what it has admitted itself. What other receivers admit at the same time is counted by the
accept script, against a ceiling that follows from the last read.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog

from processor.errors import Overloaded
from processor.store import reserve
from processor.store.keys import Keys
from processor.store.memory import Memory, MemoryUse
from processor.store.subscriptions import Subscriptions

LONGEST, SHORTEST = 1.0, 0.1  # seconds between reads
AGAIN = 0.02  # seconds after a read that found no room
FILLS = 32 * 1024 * 1024  # bytes per second that a busy fleet may write
QUIET = 10.0  # seconds without a refusal until memory counts as recovered
PIECES = 64  # of the limit: one of them is what a step of work may use in Redis beside the data
SMALLEST_PIECE, LARGEST_PIECE = 256 * 1024, 4 * 1024 * 1024  # bytes
FEWEST, MOST = 10, 500  # deliveries of a subscription that may wait if memory is short
SHARED = 2  # pieces for the waiting deliveries of all subscriptions then

log = structlog.get_logger()


class MemoryBudget:
    """The room that is left, as one process knows it."""

    def __init__(self, memory: Memory, targets: Subscriptions, shards: Sequence[Keys]) -> None:
        """Until the first read there is no limit."""
        self._memory = memory
        self._targets = targets
        self._shards = shards
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")  # monotonic
        self._room_seen = 0  # by the last read
        self._room = 0  # the same, less what was admitted since
        self._promised = 0  # to work that is being written
        self._on_the_way = 0  # the same at the last read: admitted, and perhaps written by now
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
        """How many bytes a step of work may send or read at once: Redis counts them as memory."""
        if not self.use.limit:
            return LARGEST_PIECE
        return min(max(self.use.limit // PIECES, SMALLEST_PIECE), LARGEST_PIECE)

    def in_pieces(self, sizes: Mapping[int, int]) -> list[list[int]]:
        """Indexes by their sizes in bytes, cut in order into steps of about one `piece`."""
        pieces: list[list[int]] = []
        piece, left = self.piece, 0
        if sizes and sum(sizes.values()) <= piece:
            return [list(sizes)]
        for index, size in sizes.items():
            if left <= 0:
                pieces.append([])
                left = piece
            pieces[-1].append(index)
            left -= size
        return pieces

    @property
    def may_hold(self) -> bool:
        """Whether updates may be held: else a PUT that releases some would find no room either."""
        return self._room >= reserve.HELD_LEAVE * self.use.limit or not self.use.limit

    @property
    def may_poll(self) -> bool:
        """Whether jobs may be polled. Polls stop as pushes do, but at a higher level."""
        return self.use.fullness < reserve.POLLS_FULL

    async def may_wait(self, price: int, body: int, subscriptions: int) -> int | None:
        """How many deliveries of a subscription may wait; the others stay in the log.

        None: as many as are configured, since there is room for `price` more bytes. `body` is the
        size of their largest event: if there is little room, all subscriptions share it.
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
        """Read Redis' memory; returns the seconds until the next read."""
        promised = self._promised  # what is written during the read may be part of it, or not
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

    def ceiling(self, shard: int) -> int | None:
        """How far the sum of the prices of a shard's pushes may go; None without a limit."""
        if not self.use.limit:
            return None
        return self.use.taken[shard] + max(self._room_seen, self._on_the_way) // len(self._shards)

    @asynccontextmanager
    async def admitted(self, price: int) -> AsyncIterator[None]:
        """Reserve so many bytes while work is being written; Overloaded if memory is short."""
        await self.admit(price)
        try:
            yield
        finally:
            self.written(price)

    async def admit_push(self, source: str, updates: int, size: int) -> int:
        """Promise what a push needs until its deliveries are made, if its updates have `size` bytes
        in all; how much that is. Overloaded if memory is short.
        """
        router = await self._targets.router(self._shards[0])
        price = reserve.update_price(updates, size, router.fan_out(source))
        await self.admit(price)
        return price

    async def admit(self, price: int) -> None:
        """Promise so many bytes to work until it is `written`, or raise Overloaded."""
        if price > self._room:
            await self._make_sure(price)
        self._room -= price
        self._promised += price

    async def _make_sure(self, price: int) -> None:
        """Read again how much room there is, if it is limited; Overloaded if it is too little."""
        if price and self.use.limit:
            await self.refresh(AGAIN)
            if self.use.limit and price > self._room:
                raise self.refused(price)

    def written(self, price: int) -> None:
        """Note that the work is written, or was not: a read shows its bytes from now on."""
        self._promised -= price

    def refused(self, price: int) -> Overloaded:
        """The error for work without room; the first of a series is logged."""
        use, self._refused_at = self.use, time.monotonic()
        if not self._refusing:
            self._refusing = True
            log.warning(
                "memory_short",
                used=use.used,
                reserved=self.reserved,
                maxmemory=use.limit,
                wanted=price,
                remedy="raise maxmemory, or wait until waiting deliveries are made",
            )
        return Overloaded(
            f"Redis has no room for this beside accepted work: of {use.limit} bytes {use.used} are "
            f"used and {self.reserved} reserved for waiting work, {price} more are needed, and "
            f"{reserve.FULL:.0%} may be used in all. Send it again later, or raise maxmemory"
        )

    def _interval(self) -> float:
        """Seconds until a busy fleet may have used up the room."""
        if not self.use.limit:
            return LONGEST
        return min(max(self._room / FILLS, SHORTEST), LONGEST)
