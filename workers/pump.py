"""Claims work and keeps it going: a nudge starts a pump, an empty claim ends it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog

from processor.errors import StoreUnavailable, Unavailable, WrongKeyType
from processor.service.runtime.context import Context
from processor.service.runtime.process import Outage
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement

MAX_CLAIMED = 200  # items in one claim
SHARE = 3  # a lane may hold at most this part of the room that is left
TOGETHER = 16  # pieces that begin before others' answers are looked at: each takes 0.1 ms
GIVE_BACK = 1.0  # seconds between looks for work to give back

Piece = tuple[Sequence[Claim], Coroutine[Any, Any, None]]
"""Some claims, and the coroutine that works on them and settles them."""

log = structlog.get_logger()


class Pump:
    """Works on one backlog in one process, on at most `room` items at a time."""

    def __init__(
        self,
        context: Context,
        outage: Outage,
        backlog: str,
        *,
        room: int,
        at_once: int = MAX_CLAIMED,
        pace: Callable[[str], LaneLimits],
        work: Callable[[list[Claim]], Awaitable[list[Piece]]],
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        """`work` does what a batch shares; the pieces that it leaves run side by side.

        Nothing is claimed while it `may_start` nothing: the clock nudges again.
        """
        self._context = context
        self._outage = outage
        self._backlog = backlog
        self._room = room
        self._at_once = at_once
        self._pace = pace
        self._work = work
        self._may_start = may_start
        self._running: dict[asyncio.Task[None], Sequence[Claim]] = {}
        self._batch: list[Claim] = []  # being taken apart
        self._held = 0  # items in pieces
        self._stranded: list[Claim] = []
        self._freed = asyncio.Event()
        self._kicked: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()  # not pumping
        self._idle.set()
        self._again = False
        self.stopping = False

    def run_soon(self) -> None:
        """Run, in a task of its own."""
        task = asyncio.create_task(self.run())
        self._kicked.add(task)
        task.add_done_callback(self._kicked.discard)

    async def run(self) -> None:
        """Claim and start until nothing more can start now; once more if asked to meanwhile."""
        if not self._idle.is_set():
            self._again = True
            return
        self._idle.clear()
        try:
            while await self._claim_from_all() or self._again:
                self._again = False
        except StoreUnavailable as error:
            self._outage.began(error)
        except Unavailable:  # too much at once, or somebody faster: what was claimed is given back
            pass
        except Exception:
            log.exception("worker_error", backlog=self._backlog)
        finally:
            self._again = False
            self._idle.set()

    async def _claim_from_all(self) -> bool:
        """Claim once from every shard; whether there was anything."""
        found, memory = False, self._context.store.memory
        await memory.refresh()
        for keys in self._context.store.shards:
            limit = min(await self._free(), self._at_once)
            if self.stopping or not self._may_start():
                return False
            claims = await self._context.store.backlogs.claim(
                keys, self._backlog, limit, self._fair, memory.piece
            )
            if self.stopping:
                self._stranded += claims
                return False
            if claims:
                found = True
                await self._begin(claims)
        return found

    def _fair(self, lane: str) -> LaneLimits:
        """A lane's pace, less what others need: the fuller we are, the less one lane may hold.

        So lanes that hang cannot fill us up between them.
        """
        pace = self._pace(lane)
        fair = max((self._room - self._held) // SHARE, 1)
        return LaneLimits(pace.capacity, pace.budget, fair)

    async def _free(self) -> int:
        """Wait until there is room; how much."""
        while self._held >= self._room and not self.stopping:
            self._freed.clear()
            await self._freed.wait()
        return max(self._room - self._held, 1)

    async def _begin(self, claims: list[Claim]) -> None:
        """Take a batch apart before the next is claimed: meanwhile the next one grows."""
        self._batch = claims
        try:
            for number, (part, piece) in enumerate(await self._work(claims), 1):
                self._start(part, piece)
                if number % TOGETHER == 0:
                    await asyncio.sleep(0)
        except Unavailable:
            self._stranded += claims
            raise
        finally:
            self._batch = []

    def _start(self, claims: Sequence[Claim], piece: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(piece)
        self._running[task] = claims
        self._held += len(claims)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Make room; what failed falls due again when its lease ends."""
        claims = self._running.pop(task)
        self._held -= len(claims)
        self._freed.set()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, WrongKeyType):
            log.error("worker_error", backlog=self._backlog, reason=str(error))
        elif isinstance(error, Unavailable):
            if isinstance(error, StoreUnavailable):
                self._outage.began(error)
            self._stranded += claims
        else:
            log.error("worker_error", backlog=self._backlog, exc_info=error)

    async def give_back(self) -> float:
        """Make due again what Redis' absence kept us from ending; how long to wait."""
        while self._stranded:
            shard = self._stranded[0].shard
            some = [c for c in self._stranded if c.shard == shard]
            await self._context.store.backlogs.settle([Settlement(c, NOW, c.payload) for c in some])
            given = set(map(id, some))  # more may have been stranded meanwhile
            self._stranded = [c for c in self._stranded if id(c) not in given]
        return GIVE_BACK

    async def renew(self) -> None:
        """Renew all leases, for work that takes longer than one."""
        by_shard: dict[int, list[Claim]] = {}
        for claims in (self._batch, *self._running.values()):
            for claim in claims:
                by_shard.setdefault(claim.shard, []).append(claim)
        for some in by_shard.values():
            await self._context.store.backlogs.renew(some)

    async def finish(self, seconds: float) -> None:
        """Claim nothing more, give what runs some time to end, and the rest back."""
        self.stopping = True
        self._freed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
                while self._running:
                    await asyncio.wait(list(self._running))
        with suppress(StoreUnavailable):  # then the leases do it
            await self.give_back()
