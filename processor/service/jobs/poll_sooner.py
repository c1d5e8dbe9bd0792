"""Polls a job sooner while somebody waits for it, within half of the budget of its source."""

from contextlib import suppress

from processor import schedule
from processor.config import Source
from processor.errors import WrongKeyType
from processor.model import FINAL, Job
from processor.service.jobs.decide import Hurry
from processor.service.jobs.poll_interval import intervals
from processor.service.runtime.context import Context
from processor.store.jobs import name_of
from processor.store.keys import Keys
from processor.store.waiters import PollBounds


async def poll_sooner(context: Context, keys: Keys, job: Job, seconds: float) -> None:
    """Mark a job as waited for: its next poll is brought forward, and later ones follow closely.

    Not if it is not polled, if its last poll failed, or if enough jobs of its source are waited for.
    """
    source = context.settings.sources.get(job.source)
    if source is None or not job.polling.enabled or source.poll(job.kind) is None:
        return
    if job.failed_polls or (job.state in FINAL and not job.provisional):
        return
    floor, most = _waited_polls(context, job, source)
    bounds = PollBounds(floor * (1 - schedule.POLL_JITTER), job.poll_not_before, most)
    with suppress(WrongKeyType):  # then it is polled as if nobody waited
        await context.store.waiters.mark(keys, job.source, name_of(job), seconds, bounds)


def hurry_of(context: Context, job: Job, source: Source, late: float) -> Hurry:
    """How a job is polled next if somebody waits for it; its last poll was so many seconds late."""
    return Hurry(_waited_polls(context, job, source)[0], late if source.budget else 0.0)


def _waited_polls(context: Context, job: Job, source: Source) -> tuple[float, int]:
    """At least how many seconds lie between two polls of a job that is waited for, and how many such
    jobs of its source its shard may have.
    """
    shards = len(context.store.shards)
    return schedule.waited_polls(source.budget, intervals(job, source)[0], shards)
