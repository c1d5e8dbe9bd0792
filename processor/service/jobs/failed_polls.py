"""Polls of a job that fail in a row: counted in its record, told once as `job.poll_stalled`. Pure.

Only failures that concern the job count: a refused token (401, 403) or a spent budget (429) is the
trouble of the account, neither counts nor ends a series, and is shown with the source.
"""

import msgspec
from msgspec.structs import replace

from processor import payload, schedule
from processor.model import FINAL, FailedPolls, HistoryEntry, Job, Origin, StatusUpdate
from processor.service.events.publish import DecisionInputs, publish_poll_stalled
from processor.service.jobs import confirmation
from processor.store.change import NewEvent

MAX_ERROR = 200  # characters of a reason
MAX_WORD = 64  # characters of it in the history, where equal entries in a row become one
POLL_FAILED = "poll_failed"


class FailedPoll(msgspec.Struct, frozen=True):
    """A poll that brought no status: why, and when the job is polled again."""

    reason: str
    again_at: float
    after_end: bool  # whether the job had ended when it was polled


def as_update(job: Job, reason: str, now: float) -> StatusUpdate:
    """What the history shows of a failed poll: the reason in short, such as `HTTP 502`."""
    return StatusUpdate(job.source, job.id, _short(reason), None, now, Origin.POLL)


def is_gone(job: Job, reason: str, now: float) -> bool:
    """Whether one more poll that does not find the job means that the provider dropped it: the poll
    before said the same, and no poll or push has shown it for a minute. `reason` is this poll's,
    `HTTP 404: …`.
    """
    series = job.failed_polls
    if series is None or not series.unseen_since:
        return False
    if now - series.unseen_since < schedule.GONE_AFTER:
        return False
    return _short(series.error) == _short(reason)


def concerns(failed: FailedPoll, job: Job, inputs: DecisionInputs) -> bool:
    """Whether a failed poll counts: not if the job ended meanwhile, unless it must confirm a push."""
    awaited = confirmation.awaits_confirmation(job, inputs.source, inputs.now)
    return failed.after_end or job.state not in FINAL or awaited


def count(
    job: Job, update: StatusUpdate, failed: FailedPoll, inputs: DecisionInputs
) -> tuple[Job, HistoryEntry, NewEvent | None]:
    """The job with one more failed poll, its history, and the event if polling is now stalled."""
    series = _series(job, failed, inputs.now)
    stalls = series.stalled and not (job.failed_polls and job.failed_polls.stalled)
    job = replace(job, failed_polls=series, poll_stalls=job.poll_stalls + stalls)
    event = None
    if stalls:
        poll = payload.poll_data(job, failed.again_at, failed.again_at - inputs.now)
        event = publish_poll_stalled(job, poll, inputs)
    entry = HistoryEntry(
        origin=Origin.POLL,
        status=update.status,
        state=job.state,
        was=job.state,
        attempt=job.attempt,
        event=event.id if event else None,
        ignored=POLL_FAILED,
    )
    return job, entry, event


def _short(reason: str) -> str:
    """A reason without the provider's own words."""
    return reason.partition(":")[0][:MAX_WORD]


def _series(job: Job, failed: FailedPoll, now: float) -> FailedPolls:
    before = job.failed_polls
    number, since = (before.count + 1, before.since) if before else (1, now)
    stalled = bool(before and before.stalled) or schedule.is_stalled(number, since, now)
    unseen_since = (before and before.unseen_since) or now
    return FailedPolls(number, since, failed.reason[:MAX_ERROR], stalled, unseen_since)


def after_update(job: Job, update: StatusUpdate) -> Job:
    """The job without its series, if a poll brought an answer or the job has ended.

    A push does not end the series, since polling still fails; but it shows that the provider has the job.
    """
    series = job.failed_polls
    if series is None:
        return job
    if update.origin is Origin.POLL or job.state in FINAL:
        return replace(job, failed_polls=None)
    if update.origin is Origin.PUSH and update.attempt in {None, job.attempt}:
        return replace(job, failed_polls=replace(series, unseen_since=0.0))
    return job
