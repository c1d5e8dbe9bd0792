"""Hands deliveries over from the commit that makes them to the delivery pump of the same worker."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from processor.errors import Unavailable
from processor.event_filters import EventRouter
from processor.service.delivery.deliver import Deliverer
from processor.store.change import NewEvent
from processor.store.memory_budget import MemoryBudget
from processor.store.work_items import Claim, LaneLimits, Room
from workers.pump import Pump


class DeliveryHandover:
    """The `Handover` of a worker's context."""

    def __init__(self, pump: Pump, deliverer: Deliverer, memory: MemoryBudget) -> None:
        self._pump, self._deliverer, self._memory = pump, deliverer, memory

    @asynccontextmanager
    async def room(self, deliveries: int) -> AsyncIterator[Room | None]:
        """Room for so many deliveries, which the pump keeps free for as long; None if it has none.

        Lanes with unknown limits are left to the pump, which reads them first.
        """
        with suppress(Unavailable):
            await self._deliverer.breakers.refresh_if_old()
        with self._pump.kept_free(deliveries) as limit:
            yield Room(limit, self._memory.piece, self._limits) if limit else None

    def _limits(self, lane: str) -> LaneLimits | None:
        return self._pump.fair_share(lane) if self._deliverer.breakers.knows(lane) else None

    def start(
        self, claims: Sequence[Claim], events: Sequence[NewEvent], router: EventRouter
    ) -> None:
        """Start what a commit claimed: at once, or after what is not in hand was read."""
        prepared, unread = self._deliverer.in_hand(claims, events, router)
        for post in prepared:
            self._pump.start_unit([post.claim], self._deliverer.deliver(post))
        if unread:
            self._pump.start_soon(unread)
