"""The `deliver` actor: events to subscribers, many at a time, none waiting for another's."""

from processor.service.context import Context
from processor.service.delivering import Deliverer
from processor.service.running import Outage
from processor.store.backlogs import Claim
from workers.pump import Piece, Pump


def pump(context: Context, outage: Outage) -> Pump:
    """One piece a delivery."""
    deliverer = Deliverer(context)

    async def work(claims: list[Claim]) -> list[Piece]:
        await deliverer.standings.look()
        return [([post.claim], deliverer.deliver(post)) for post in await deliverer.read(claims)]

    return Pump(context, outage, "deliver", room=1000, pace=deliverer.standings.pace, work=work)
