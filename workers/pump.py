"""Claims work and runs it: a nudge starts a pump, an empty claim stops it."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from processor.errors import StoreUnavailable, Unavailable, WrongKeyType
from processor.service.runtime.context import Context
from processor.service.runtime.outage import Outage
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement
from workers.nudges import ANSWERED_WITHIN, Nudges

MAX_CLAIMED = 200  # items in one claim
FAIR_PART = 3  # a lane may hold at most 1/3 of the free capacity
YIELD_EVERY = 16  # work units that are started before other tasks run: each takes 0.1 ms
GIVE_BACK_INTERVAL = 1.0  # seconds

WorkUnit = tuple[Sequence[Claim], Coroutine[Any, Any, None]]
"""Some claims, and the coroutine that works on them and settles them."""

log = structlog.get_logger()


async def _nothing() -> None:
    pass


class Pump:
    """Works on one backlog in one process, on at most `max_in_flight` items at a time."""

    def __init__(
        self,
        context: Context,
        outage: Outage,
        backlog: str,
        *,
        max_in_flight: int,
        claim_size: int = MAX_CLAIMED,
        claim_part: int = 1,
        lane_limits: Callable[[str], LaneLimits],
        start_batch: Callable[[list[Claim]], Awaitable[list[WorkUnit]]],
        before_run: Callable[[], Awaitable[None]] = _nothing,
        may_claim: Callable[[], bool] = lambda: True,
        claims_at_nudge: bool = False,
    ) -> None:
        """`start_batch` does what a batch shares; the work units that it returns run side by side.

        A claim takes at most `claim_size` items, and at most 1/`claim_part` of the free capacity.
        `before_run` refreshes what the limits depend on, however long the pump was idle. Nothing is
        claimed unless `may_claim`: the clock nudges again. `claims_at_nudge`: the claim is sent
        before the nudge comes, with the limits of then.
        """
        self._context = context
        self._outage = outage
        self._backlog = backlog
        self._max_in_flight = max_in_flight
        self._claim_size = claim_size
        self._claim_part = claim_part
        self._lane_limits = lane_limits
        self._start_batch = start_batch
        self._before_run = before_run
        self._may_claim = may_claim
        self._claims_at_nudge = claims_at_nudge
        self._running: dict[asyncio.Task[None], Sequence[Claim]] = {}
        self._starting: list[Claim] = []  # the batch in `start_batch`
        self._found: list[list[Claim]] = []  # the batches after it
        self._in_flight = 0  # items in work units
        self._unsettled: list[Claim] = []  # of work that ended without settling them
        self._unit_ended = asyncio.Event()
        self._first_shard = 0  # of the next round: what shards share, such as budgets, goes round
        self._kept_free = 0  # items that commits may claim
        self._idle = asyncio.Event()
        self._idle.set()
        self._run_again = False
        self.stopping = False

    async def run(self) -> None:
        """Claim and start work until nothing more can start; again if called while running."""
        if not self._idle.is_set():
            self._run_again = True
            return
        with self._working():
            await self._claim_all()

    async def run_at_nudge(self, nudges: Nudges) -> bool:
        """Wait for the next nudge, and run; whether there was one, or work."""
        found = False
        with self._working():
            nudged, self._found = await self._next(nudges)
            found = nudged or bool(self._found)
            try:
                while self._found:
                    await self._start_claimed(self._found.pop(0))
            finally:
                self._unsettled += [claim for claims in self._found for claim in claims]
                self._found = []
            if found:
                await self._claim_all()
        return found

    async def _next(self, nudges: Nudges) -> tuple[bool, list[list[Claim]]]:
        """Wait for a nudge: whether one came, and what was claimed at it, by shard."""
        if not self._claims_at_nudge:
            return (await nudges.next(self._backlog))[0], []
        backlogs, shards = self._context.store.backlogs, self._context.store.shards
        limit = max(self._claim_limit // len(shards), 1)
        size = self._context.store.memory.piece // len(shards)
        ends = await self._context.store.now() + ANSWERED_WITHIN
        commands = [
            backlogs.claim_command(
                keys, self._backlog, limit, self.fair_share, size=size, ends=ends
            )
            for keys in shards
        ]
        nudged, answers = await nudges.next(self._backlog, commands)
        parts = zip(shards, answers, strict=False)  # no answers if Redis is away
        claims = [backlogs.claimed(keys, self._backlog, answer) for keys, answer in parts]
        return nudged, [part for part in claims if part]

    @contextmanager
    def _working(self) -> Iterator[None]:
        """While this runs nobody else claims; an error ends it, and what was claimed is given back."""
        self._idle.clear()
        try:
            yield
        except StoreUnavailable as error:
            self._outage.began(error)
        except Unavailable:  # overload or a conflict
            pass
        except Exception:
            log.exception("worker_error", backlog=self._backlog)
        finally:
            self._run_again = False
            self._idle.set()

    async def _claim_all(self) -> None:
        with suppress(Unavailable):  # if Redis is away the claim fails too, and that is logged
            await self._before_run()
        while await self._claim_from_all_shards() or self._run_again:
            self._run_again = False

    async def _claim_from_all_shards(self) -> bool:
        """Claim once from every shard; whether there was anything."""
        found, memory = False, self._context.store.memory
        await memory.refresh()
        shards = self._context.store.shards
        self._first_shard = (self._first_shard + 1) % len(shards)
        for keys in shards[self._first_shard :] + shards[: self._first_shard]:
            await self._wait_for_capacity()
            limit = max(self._claim_limit, 1)
            if self.stopping or not self._may_claim():
                return False
            claims = await self._context.store.backlogs.claim(
                keys, self._backlog, limit, self.fair_share, memory.piece
            )
            if claims:
                found = True
                await self._start_claimed(claims)
        return found

    def fair_share(self, lane: str) -> LaneLimits:
        """The limits of a lane, with a share of the free capacity: the fuller we are, the smaller.

        So slow lanes cannot use up all capacity between them, if a claim takes no larger part.
        """
        limits = self._lane_limits(lane)
        fair = max((self._max_in_flight - self._in_flight) // FAIR_PART, 1)
        return LaneLimits(limits.capacity, limits.budget, fair)

    @property
    def _free(self) -> int:
        return self._max_in_flight - self._in_flight - self._kept_free

    @property
    def _claim_limit(self) -> int:
        """How many items one claim may take, ours or a commit's: 0 or less if we are full."""
        return min(math.ceil(self._free / self._claim_part), self._claim_size)

    async def _wait_for_capacity(self) -> None:
        """Wait until another item may start."""
        while self._free <= 0 and not self.stopping:
            self._unit_ended.clear()
            await self._unit_ended.wait()

    @contextmanager
    def kept_free(self, items: int) -> Iterator[int]:
        """Keep room for so many items that somebody else claims for us, or for fewer: how many."""
        items = 0 if self.stopping else max(min(items, self._claim_limit), 0)
        self._kept_free += items
        try:
            yield items
        finally:
            self._kept_free -= items
            self._unit_ended.set()

    async def _start_claimed(self, claims: list[Claim]) -> None:
        """Start a batch. Only then is the next one claimed, which grows in the meantime."""
        if self.stopping:
            self._unsettled += claims
            return
        self._starting = claims
        try:
            await self._start_units(claims)
        except Unavailable:
            self._unsettled += claims
            raise
        finally:
            self._starting = []
        await asyncio.sleep(0)  # what started sends its first packet before we claim again

    async def _start_units(self, claims: list[Claim]) -> None:
        for number, (part, unit) in enumerate(await self._start_batch(claims), 1):
            self.start_unit(part, unit)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def start_soon(self, claims: list[Claim]) -> None:
        """Start a batch that a commit claimed, in a work unit of its own."""
        self.start_unit(claims, self._start_units(claims))

    def start_unit(self, claims: Sequence[Claim], unit: Coroutine[Any, Any, None]) -> None:
        """Start a work unit that works on these claims, in a task."""
        task = asyncio.create_task(unit)
        self._running[task] = claims
        self._in_flight += len(claims)
        task.add_done_callback(self._end_unit)

    def _end_unit(self, task: asyncio.Task[None]) -> None:
        """Free its capacity; work that failed becomes due again when its lease expires."""
        claims = self._running.pop(task)
        self._in_flight -= len(claims)
        self._unit_ended.set()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, WrongKeyType):
            log.error("worker_error", backlog=self._backlog, reason=str(error))
        elif isinstance(error, Unavailable):
            if isinstance(error, StoreUnavailable):
                self._outage.began(error)
            self._unsettled += claims
        else:
            log.error("worker_error", backlog=self._backlog, exc_info=error)

    async def give_back(self) -> float:
        """Make claims due again that could not be settled; the seconds to wait until next time."""
        while self._unsettled:
            shard = self._unsettled[0].shard
            batch = [c for c in self._unsettled if c.shard == shard]
            settlements = [Settlement(c, NOW, c.payload) for c in batch]
            await self._context.store.backlogs.settle(settlements)
            given_back = set(map(id, batch))  # others may have been added during that call
            self._unsettled = [c for c in self._unsettled if id(c) not in given_back]
        return GIVE_BACK_INTERVAL

    async def renew(self) -> None:
        """Renew all leases, for work that takes longer than a lease."""
        by_shard: dict[int, list[Claim]] = {}
        for claims in (self._starting, *self._found, *self._running.values()):
            for claim in claims:
                by_shard.setdefault(claim.shard, []).append(claim)
        for batch in by_shard.values():
            await self._context.store.backlogs.renew(batch)

    async def finish(self, seconds: float) -> None:
        """Claim nothing more, wait for running work up to `seconds`, and give back what could not be
        settled; what still runs falls due with its lease.
        """
        self.stopping = True
        self._unit_ended.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
                while self._running or self._kept_free:
                    self._unit_ended.clear()
                    await self._unit_ended.wait()
        with suppress(Unavailable):  # then the leases expire
            await self.give_back()
