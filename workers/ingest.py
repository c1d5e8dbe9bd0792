"""The `ingest` actor: accepted pushes and deadlines into jobs, a batch in one commit."""

from processor.service.context import Context
from processor.service.ingesting import PACE, ingest
from processor.store.backlogs import Claim
from workers.pump import AT_ONCE, Piece, Pump


def pump(context: Context) -> Pump:
    """A batch at a time, in one commit."""

    async def work(claims: list[Claim]) -> list[Piece]:
        await ingest(context, claims)
        return []

    return Pump(context, "ingest", room=AT_ONCE, pace=lambda _: PACE, work=work)
