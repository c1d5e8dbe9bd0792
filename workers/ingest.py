"""The `ingest` actor: accepted pushes and deadlines into jobs, a batch in one commit."""

from processor.service.context import Context
from processor.service.ingesting import PACE, ingest
from processor.store.backlogs import Claim
from workers.pump import AT_ONCE, Piece, Pump


def pump(context: Context) -> Pump:
    """Two batches at a time: while Redis works on one, we work on the other."""

    async def work(claims: list[Claim]) -> list[Piece]:
        return [(claims, ingest(context, claims))]

    return Pump(context, "ingest", room=2 * AT_ONCE, pace=lambda _: PACE, work=work)
