"""The `ingest` backlog: accepted pushes and deadlines, many at a time."""

import math
from collections.abc import Sequence

import msgspec
import structlog

from processor.errors import Unavailable
from processor.model import StatusUpdate
from processor.schedule import unknown_pause
from processor.service.jobs.advance import RETRY_AFTER, advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.runtime.context import Context
from processor.store.work_items import Claim, LaneLimits, Settlement

MAX_BATCH = 200  # updates in one commit
LANE_LIMITS = LaneLimits(capacity=10 * MAX_BATCH)

log = structlog.get_logger()

_decode = msgspec.json.Decoder(StatusUpdate).decode


async def ingest(context: Context, claims: Sequence[Claim]) -> None:
    """Take jobs through the claimed updates of one shard.

    If a batch fails, each of its updates is tried alone, so that a broken one does not hold up
    the others.
    """
    sources = context.settings.sources
    orphans = [c for c in claims if c.lane not in sources]
    if orphans:
        await _postpone_orphans(context, orphans)
    known = [c for c in claims if c.lane in sources] if orphans else claims
    if not known:
        return
    try:
        updates = [IncomingUpdate(_decode(c.payload), c) for c in known]
        await advance(context, context.store.shards[known[0].shard], updates)
    except Unavailable:
        raise
    except Exception:
        if len(known) > 1:
            for claim in known:
                await ingest(context, [claim])
            return
        log.exception("update_error", item=known[0].item)
        await _postpone(context, known)


async def _postpone_orphans(context: Context, claims: Sequence[Claim]) -> None:
    """Postpone updates whose source is not in this process's configuration (yet, or any more)."""
    for claim in claims:
        context.metrics.orphan(claim.lane)
    now = await context.store.now()
    await context.store.backlogs.settle(
        [Settlement(c, now + unknown_pause(_age(c, now)), c.payload) for c in claims]
    )


def _age(claim: Claim, now: float) -> float:
    """For how many seconds what an update says has been so; infinite if it cannot be read."""
    try:
        return now - _decode(claim.payload).at
    except msgspec.DecodeError:
        return math.inf


async def _postpone(context: Context, claims: Sequence[Claim]) -> None:
    later = await context.store.now() + RETRY_AFTER
    await context.store.backlogs.settle([Settlement(c, later, c.payload) for c in claims])
