"""What the end of a job shows about its source: how long it took, and whether its push came. Pure."""

from collections.abc import Sequence

from msgspec.structs import replace

from processor.config import Source
from processor.model import FINAL, Job, Origin, State, StatusUpdate
from processor.source_statistics import JobEnd

COUNTED = frozenset({State.SUCCEEDED, State.FAILED})
"""Somebody's cancellation says nothing about other jobs, and many providers push nothing about it."""


def job_end(
    before: Job | None, job: Job, updates: Sequence[StatusUpdate], source: Source
) -> JobEnd | None:
    """What these updates have shown: the end of a job, or a push after a poll found the end.

    Only a job that is polled and was known before it ended shows anything.
    """
    if before is None or job.ended_at is None or job.state not in COUNTED:
        return None
    if before.attempt != job.attempt or not job.polling.enabled or not source.poll(job.kind):
        return None
    pushed = any(u.origin is Origin.PUSH and u.state in FINAL for u in updates)
    if before.ended_at == job.ended_at:
        late = before.push_missing and pushed
        return JobEnd(job.kind, job.ended_at, "late_push") if late else None
    lasted = _lasted(before, job, updates)
    if not source.pushes(job.kind):
        return JobEnd(job.kind, job.ended_at, None, lasted)
    pushed |= _announced_at(before) is not None
    return JobEnd(job.kind, job.ended_at, "push" if pushed else "poll", lasted)


def with_push_missing(job: Job, end: JobEnd) -> Job:
    """An ended job with what a late push of its end is compared with."""
    missing = end.found_by == "poll"
    return job if job.push_missing is missing else replace(job, push_missing=missing)


def with_poll_times(job: Job, updates: Sequence[StatusUpdate], now: float) -> Job:
    """An unfinished job with what its next poll and its end are compared with."""
    for update in updates:
        if update.poll_started_at:
            job = replace(job, polled_at=update.poll_started_at)
        if update.remaining is not None:
            job = replace(job, expected_at=now + update.remaining)
    return job


def detection_delay(before: Job | None, job: Job, updates: Sequence[StatusUpdate]) -> float | None:
    """How many seconds ago a job ended that has just been found to have ended.

    By the time that the provider gives, else since its push was received. None if that is unknown:
    a poll without such a time, our own deadline, an end before the job was registered.
    """
    if job.ended_at is None or job.finished_at is None or job.origin is None or job.provisional:
        return None
    if before and before.ended_at == job.ended_at:
        return None
    if job.origin is not Origin.PUSH:
        asked_at = {u.poll_started_at for u in updates if u.origin is Origin.POLL}
        if asked_at & {None, job.finished_at} or job.finished_at < job.attempt_since:
            return None
    return max(job.ended_at - job.finished_at, 0.0)


def _announced_at(job: Job) -> float | None:
    """When a push said that this attempt ended, if a poll had to confirm it."""
    return job.poll_requested_at if job.poll_requested_at >= job.attempt_since else None


def _lasted(before: Job, job: Job, updates: Sequence[StatusUpdate]) -> tuple[float, float] | None:
    """After how many seconds at least and at most a job ended: at a known time, or between two polls.

    The provider's time counts if it is possible, else the arrival of the push. None if the job had
    ended before we knew it.
    """
    began, now = job.attempt_since, job.ended_at or 0.0
    given, asked_at = job.finished_at or 0.0, {u.poll_started_at for u in updates}
    if given < began and not before.polled_at:
        return None
    earliest = min(max(before.polled_at, began), now)
    end = now if job.origin is Origin.PUSH else _announced_at(before) or 0.0
    if earliest < given <= now and given not in asked_at:
        end = given
    after, until = (end, end) if end >= earliest else (earliest, now)
    return after - began, until - began
