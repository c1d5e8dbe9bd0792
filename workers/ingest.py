"""The `ingest` actor: accepted pushes and deadlines into jobs, a batch in one commit."""

from processor.service.context import Context
from processor.service.ingesting import AT_ONCE, PACE, ingest
from processor.service.running import Outage
from processor.store.lanes import Claim
from workers.pump import Piece, Pump


def pump(context: Context, outage: Outage) -> Pump:
    """A batch at a time, each in one commit; two while there is more than a batch."""

    async def work(claims: list[Claim]) -> list[Piece]:
        if len(claims) == AT_ONCE:
            return [(claims, ingest(context, claims))]
        await ingest(context, claims)  # we have caught up: meanwhile the next batch grows
        return []

    return Pump(
        context, outage, "ingest", at_once=AT_ONCE, room=2 * AT_ONCE, pace=lambda _: PACE, work=work
    )
