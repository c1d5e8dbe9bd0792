"""The `ingest` backlog: accepted pushes and deadlines, many at a time."""

from collections.abc import Sequence

import msgspec
import structlog

from processor.errors import Unavailable
from processor.model import StatusUpdate
from processor.service.jobs.advance import LATER, advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.runtime.context import Context
from processor.store.work_items import Claim, LaneLimits, Settlement

MAX_BATCH = 200  # updates in one commit
PACE = LaneLimits(capacity=10 * MAX_BATCH)

log = structlog.get_logger()

_decode = msgspec.json.Decoder(StatusUpdate).decode


async def ingest(context: Context, claims: Sequence[Claim]) -> None:
    """Take jobs through claimed updates of one shard.

    Where a batch fails for a reason of its own, each of its updates is tried alone, so that
    one that cannot be taken holds up no other.
    """
    ours = [c for c in claims if c.lane in context.settings.sources]
    await _keep(context, [c for c in claims if c.lane not in context.settings.sources])
    try:
        await _take(context, ours)
    except Unavailable:
        raise
    except Exception:
        if len(ours) > 1:
            for claim in ours:
                await ingest(context, [claim])
            return
        log.exception("update_error", item=ours[0].item)
        await _put_off(context, ours)


async def _take(context: Context, claims: Sequence[Claim]) -> None:
    if claims:
        arrivals = [IncomingUpdate(_decode(c.payload), c) for c in claims]
        await advance(context, context.store.shards[claims[0].shard], arrivals)


async def _keep(context: Context, claims: Sequence[Claim]) -> None:
    """Put off updates of sources that the configuration does not name (any more)."""
    for claim in claims:
        context.metrics.orphan(claim.lane)
    await _put_off(context, claims)


async def _put_off(context: Context, claims: Sequence[Claim]) -> None:
    later = await context.store.now() + LATER
    await context.store.backlogs.settle([Settlement(c, later, c.payload) for c in claims])
