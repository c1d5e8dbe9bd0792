"""The `deliver` actor: events to subscribers, many at a time, none waiting for another's."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from processor.errors import StoreUnavailable
from processor.service.context import Context
from processor.service.delivering import Deliverer
from processor.service.running import Outage
from processor.store.lanes import Claim
from workers.pump import Piece, Pump


class Informed(Pump):
    """A pump that looks how subscribers stand before it claims, however long it slept."""

    def __init__(self, look: Callable[[], Awaitable[None]], *args: Any, **options: Any) -> None:
        """Take what looks, and what a pump takes."""
        super().__init__(*args, **options)
        self._look = look

    async def run(self) -> None:
        """Look, then run; where Redis is away the run finds that out too."""
        with suppress(StoreUnavailable):
            await self._look()
        await super().run()


def pump(context: Context, outage: Outage) -> Pump:
    """One piece a delivery."""
    deliverer = Deliverer(context)

    async def work(claims: list[Claim]) -> list[Piece]:
        await deliverer.standings.look()
        return [([post.claim], deliverer.deliver(post)) for post in await deliverer.read(claims)]

    standings = deliverer.standings
    return Informed(
        standings.look, context, outage, "deliver", room=1000, pace=standings.pace, work=work
    )
