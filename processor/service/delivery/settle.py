"""Settles deliveries: writes how they went, in groups, for as long as it takes."""

import asyncio

import structlog

from processor.errors import Unavailable, WrongKeyType
from processor.service.runtime.context import Context
from processor.service.runtime.outage import RETRY_INTERVAL
from processor.store.group_commit import GroupCommit
from processor.store.refusals import Outcome
from processor.store.work_items import Settlement

log = structlog.get_logger()


class Settler:
    """Settles the deliveries of one process; those that end at the same time in one write."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._group: GroupCommit[Settlement, Outcome] = GroupCommit(self._settle_all)

    async def try_once(self, settlement: Settlement) -> None:
        """Settle; if that fails, the delivery is due again when its lease ends."""
        await self._group.add(settlement)

    async def settle(self, settlement: Settlement) -> None:
        """Settle, however long Redis is unavailable or one of its keys has another type: what was
        sent must not be sent again.
        """
        logged = False
        while True:
            try:
                done = await self._group.add(settlement)
            except Unavailable:
                pass
            else:
                if not isinstance(done, WrongKeyType):
                    return
                if not logged:
                    log.error("delivery_error", delivery=settlement.claim.item, reason=str(done))
                logged = True
            await asyncio.sleep(RETRY_INTERVAL)

    async def _settle_all(self, settlements: list[Settlement]) -> list[Outcome]:
        shards = {s.claim.shard for s in settlements}
        if len(shards) == 1:
            return await self._context.store.backlogs.settle(settlements)
        done: list[Outcome] = [False] * len(settlements)
        for shard in shards:
            indexes = [i for i, s in enumerate(settlements) if s.claim.shard == shard]
            rows = await self._context.store.backlogs.settle([settlements[i] for i in indexes])
            for index, row in zip(indexes, rows, strict=True):
                done[index] = row
        return done
