"""Polls jobs sooner while somebody waits for them, within half of the budget of their source."""

from collections.abc import Sequence

from processor import schedule
from processor.config import Source
from processor.model import Job
from processor.service.jobs.decide import Hurry
from processor.service.jobs.poll_interval import allowed_from, intervals
from processor.service.runtime.context import Context
from processor.store.jobs import name_of
from processor.store.keys import Keys
from processor.store.waiters import WaitMark

TOGETHER = 100  # jobs that are marked in one round trip: other calls are answered in between


async def poll_sooner(context: Context, jobs: Sequence[tuple[Keys, Job]], seconds: float) -> None:
    """Mark jobs as waited for: their next polls are brought forward, and later ones follow closely.

    Not of a job that is not polled, whose last poll failed, or of whose source enough are waited for.
    """
    for start in range(0, len(jobs), TOGETHER):
        part, now = jobs[start : start + TOGETHER], await context.store.now()
        marks = [_mark(context, keys, job, seconds, now) for keys, job in part]
        await context.store.waiters.mark([mark for mark in marks if mark])


def _mark(context: Context, keys: Keys, job: Job, seconds: float, now: float) -> WaitMark | None:
    """The mark of a job that is polled sooner; None for one that is not."""
    source = context.settings.sources.get(job.source)
    if source is None or not job.polling.enabled or source.poll(job.kind) is None:
        return None
    if job.failed_polls or job.final:
        return None
    floor, most = _waited_polls(context, job, source)
    return WaitMark(
        keys=keys,
        source=job.source,
        item=name_of(job),
        seconds=seconds,
        floor=floor * (1 - schedule.POLL_JITTER),
        not_before=allowed_from(job, now),
        most=most,
    )


def hurry_of(context: Context, job: Job, source: Source, late: float) -> Hurry:
    """How a job is polled next if somebody waits for it; its last poll was so many seconds late."""
    return Hurry(_waited_polls(context, job, source)[0], late if source.budget else 0.0)


def _waited_polls(context: Context, job: Job, source: Source) -> tuple[float, int]:
    """At least how many seconds lie between two polls of a job that is waited for, and how many such
    jobs of its source its shard may have.
    """
    shards = len(context.store.shards)
    return schedule.waited_polls(source.budget, intervals(job, source)[0], shards)
