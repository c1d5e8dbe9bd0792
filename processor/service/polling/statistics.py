"""Writes what ends of jobs have shown, and says when a source turns poll-first or back."""

import structlog

from processor.push_loss import PushLoss
from processor.service.runtime.context import Context

WRITE_INTERVAL = 2.0  # seconds

log = structlog.get_logger()


async def write_statistics(context: Context) -> float:
    """Write what this process has collected; the seconds until the next time.

    Of all processes, the one whose write turns a source says so.
    """
    for source, before, after in await context.store.statistics.write():
        context.metrics.lost(source, after.lost_ever - before.lost_ever)
        if after.poll_first is not before.poll_first:
            _say(source, after)
    return WRITE_INTERVAL


def _say(source: str, loss: PushLoss) -> None:
    seen = {"lost": round(loss.share, 3), "jobs": round(loss.jobs)}
    if loss.poll_first:
        log.warning("source_poll_first", source=source, **seen)
    else:
        log.info("source_push_first", source=source, **seen)
