"""The pumps of the three actors: what each backlog's claims are worked off with.

The actors themselves are declared in `workers.__main__`; each runs the pump of its backlog.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from processor.errors import StoreUnavailable
from processor.service.delivery.deliver import Deliverer
from processor.service.jobs import ingest as ingesting
from processor.service.polling import poll as polling
from processor.service.runtime.context import Context
from processor.service.runtime.process import Outage
from processor.store.work_items import Claim
from workers.pump import Piece, Pump


def ingest(context: Context, outage: Outage) -> Pump:
    """Accepted pushes and deadlines into jobs: a batch in one commit, two while there is more."""
    most = ingesting.MAX_BATCH

    async def work(claims: list[Claim]) -> list[Piece]:
        if len(claims) == most:
            return [(claims, ingesting.ingest(context, claims))]
        await ingesting.ingest(context, claims)  # we have caught up: the next batch grows
        return []

    return Pump(
        *(context, outage, "ingest"),
        at_once=most,
        room=2 * most,
        pace=lambda _: ingesting.LANE_LIMITS,
        work=work,
    )


def poll(context: Context, outage: Outage) -> Pump:
    """Polls of providers, many at a time, each source at its own pace."""

    async def work(claims: list[Claim]) -> list[Piece]:
        return [([claim], polling.poll(context, claim)) for claim in claims]

    memory = context.store.memory
    return Pump(
        *(context, outage, "poll"),
        room=1000,
        pace=polling.lane_limits(context),
        work=work,
        may_start=lambda: memory.may_poll,
    )


def deliver(context: Context, outage: Outage) -> Pump:
    """Deliveries to subscribers, many at a time; none waits for another lane's."""
    deliverer = Deliverer(context)

    async def work(claims: list[Claim]) -> list[Piece]:
        await deliverer.breakers.refresh()
        return [([post.claim], deliverer.deliver(post)) for post in await deliverer.read(claims)]

    breakers = deliverer.breakers
    return RefreshedPump(
        breakers.refresh,
        context,
        outage,
        "deliver",
        room=1000,
        pace=breakers.lane_limits,
        work=work,
    )


class RefreshedPump(Pump):
    """A pump that reads the state of the circuit breakers before it claims, however long it slept."""

    def __init__(self, refresh: Callable[[], Awaitable[None]], *args: Any, **options: Any) -> None:
        """`refresh` reads that state; the rest is what a pump needs."""
        super().__init__(*args, **options)
        self._refresh = refresh

    async def run(self) -> None:
        """Refresh, then run; an outage of Redis is found by the run, too."""
        with suppress(StoreUnavailable):
            await self._refresh()
        await super().run()
