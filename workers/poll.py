"""The `poll` actor: questions to providers, many at a time, each source at its own pace."""

from processor.service import polling
from processor.service.context import Context
from processor.service.running import Outage
from processor.store.lanes import Claim
from workers.pump import Piece, Pump


def pump(context: Context, outage: Outage) -> Pump:
    """One piece a question."""

    async def work(claims: list[Claim]) -> list[Piece]:
        return [([claim], polling.poll(context, claim)) for claim in claims]

    memory = context.store.memory
    return Pump(
        *(context, outage, "poll"),
        room=1000,
        pace=polling.pace(context),
        work=work,
        may_start=lambda: memory.may_poll,
    )
