"""The `ingest` backlog: accepted pushes and deadlines, many at a time."""

from collections.abc import Sequence

import msgspec

from processor.model import StatusUpdate
from processor.service.advancing import advance
from processor.service.context import Context
from processor.service.deciding import Arrival
from processor.store.backlogs import Claim, Pace, Settled

AT_ONCE = 200  # updates in one commit
PACE = Pace(capacity=10 * AT_ONCE)

_decode = msgspec.json.Decoder(StatusUpdate).decode


async def ingest(context: Context, claims: Sequence[Claim]) -> None:
    """Take jobs through claimed updates of one shard."""
    ours = [c for c in claims if c.lane in context.settings.sources]
    await _keep(context, [c for c in claims if c.lane not in context.settings.sources])
    if ours:
        arrivals = [Arrival(_decode(c.payload), c) for c in ours]
        await advance(context, context.store.shards[ours[0].shard], arrivals)


async def _keep(context: Context, claims: Sequence[Claim]) -> None:
    """Put off updates of sources that the configuration does not name (any more)."""
    later = await context.store.now() + 60.0
    for claim in claims:
        context.metrics.orphan(claim.lane)
    await context.store.backlogs.settle([Settled(c, later, c.payload) for c in claims])
