"""Polls that have to wait: put back to their place in their lane, or postponed after a failure.

A refused or throttled poll goes behind the others that are due: if the provider refuses this job only,
none of them starves.

A poll that only a reader of the mirror needs ends if it fails: the next reader asks for another. The
last poll of a job that has expired by our deadline is repeated only for the account's trouble, for a
day, unless a PUT gave it a later deadline.
"""

import math

import structlog

from processor import schedule
from processor.config import Source
from processor.model import FINAL, Job
from processor.provider import PollFailure, PollFailureKind
from processor.service.jobs import confirmation, failed_polls
from processor.service.jobs.commit_together import advance_one
from processor.service.jobs.decide import IncomingUpdate
from processor.service.jobs.failed_polls import FailedPoll
from processor.service.jobs.poll_interval import poll_interval
from processor.service.runtime.context import Context, random_unit
from processor.store.planned_poll import encode_interval
from processor.store.poll_errors import PollError
from processor.store.work_items import Claim, Settlement

ACCOUNT_FAILURES: frozenset[PollFailureKind] = frozenset({"unauthorized", "throttled"})
LAST_POLL_REPEATED = 86_400.0
"""For how many seconds after the deadline of a job its last poll is repeated after such a failure. The
provider may refuse this job only, and each refusal pauses all."""

log = structlog.get_logger()


async def put_back(context: Context, claim: Claim, until: float) -> None:
    """Let an item wait where it was in its lane, which is paused until then (seconds)."""
    again = Settlement(claim, claim.due / 1000, claim.payload)
    await context.store.backlogs.settle([again], [(claim, until)])


async def wait_for_configuration(context: Context, claim: Claim, job: Job | None) -> None:
    """Let an item wait that cannot be run with the configuration that this process has.

    `job` is the one that the item is about, if it is about one.
    """
    now = await context.store.now()
    age = now - job.created_at if job else math.inf
    later = now + schedule.unknown_pause(age)
    await context.store.backlogs.settle([Settlement(claim, later, claim.payload)])


async def postpone(
    context: Context,
    claim: Claim,
    source: Source,
    job: Job,
    failure: PollFailure,
    *,
    needed: bool = True,
) -> None:
    """Poll again later; if the provider refuses or throttles the account, pause its lane.

    Without `needed` the job is polled again only at once, with another token.
    """
    now = await context.store.now()
    pause = schedule.source_pause(failure.kind, failure.retry_after)
    statistics = context.store.statistics.of(source.name)
    interval = poll_interval(job, source, statistics, now, random_unit())
    again_in = _again_in(job, failure, interval, pause)
    again = (needed and not _was_last(job, source, failure, now)) or failure.kind == "outdated"
    say = log.warning if failure.kind == "unauthorized" else log.info
    say(
        "poll_failed",
        source=source.name,
        job=job.id,
        kind=failure.kind,
        reason=failure.reason,
        again_in=round(again_in, 1) if again else None,
    )
    error = PollError(now, job.id, failure.reason[: failed_polls.MAX_ERROR])
    await context.store.poll_errors.note(source.name, error)
    if failure.kind == "unauthorized":
        await context.store.stalled_sources.note(source.name, failure.reason)
    if not again:
        paused = [] if pause is None else [(claim, now + pause)]
        await context.store.backlogs.settle([Settlement(claim, requires_token=True)], paused)
    elif pause is None:
        await _count_failure(context, claim, job, failure.reason, now + again_in)
    elif failure.kind == "outdated":
        await put_back(context, claim, now + pause)
    else:
        # as if somebody had asked for it: then nobody who waits for the job brings it forward
        behind = Settlement(claim, now + again_in, encode_interval(None))
        await context.store.backlogs.settle([behind], [(claim, now + pause)])


def _was_last(job: Job, source: Source, failure: PollFailure, now: float) -> bool:
    """Whether this failure is the end of polling a job that has expired by our deadline."""
    if not job.provisional or confirmation.awaits_confirmation(job, source, now):
        return False
    until = max(job.ended_at or now, job.deadline_at)
    repeated = LAST_POLL_REPEATED if failure.kind in ACCOUNT_FAILURES else 0.0
    return now - until >= repeated


def _again_in(job: Job, failure: PollFailure, interval: float, pause: float | None) -> float:
    """Seconds until a job is polled again after one more failure; `pause` is its source's, if any."""
    if failure.kind == "unauthorized":
        return schedule.refused_poll_pause(interval)
    if pause is not None:
        return pause
    failures = job.failed_polls.count if job.failed_polls else 0
    return schedule.poll_pause(failures + 1, interval, failure.retry_after)


async def _count_failure(
    context: Context, claim: Claim, job: Job, reason: str, again_at: float
) -> None:
    """Commit a failure that concerns the job: its record, its history, the next poll."""
    update = failed_polls.as_update(job, reason, await context.store.now())
    failed = FailedPoll(reason, again_at, after_end=job.state in FINAL)
    keys = context.store.shards[claim.shard]
    await advance_one(context, keys, IncomingUpdate(update, claim, failed=failed))
