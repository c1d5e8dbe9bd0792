"""How the end of a job became known, for the statistics of its source: pure."""

from collections.abc import Sequence

from processor.config import Source
from processor.model import FINAL, Job, Origin, State, StatusUpdate
from processor.source_statistics import JobEnd

COUNTED = frozenset({State.SUCCEEDED, State.FAILED})
"""Many providers send no push for a job that was canceled, or that they dropped."""


def job_end(
    before: Job | None, job: Job, updates: Sequence[StatusUpdate], source: Source
) -> JobEnd | None:
    """What these updates show: the end of a job, or a push after a poll found the end.

    Only a job that is polled and pushed shows anything, and only if it was known before it ended.
    """
    if before is None or job.ended_at is None or job.state not in COUNTED:
        return None
    if not (job.polling.enabled and source.poll(job.kind) and source.pushes(job.kind)):
        return None
    pushed = any(u.origin is Origin.PUSH and u.state in FINAL for u in updates)
    if before.push_missing and before.attempt == job.attempt:
        return JobEnd("late_push", job.ended_at) if pushed else None
    if before.ended_at == job.ended_at:
        return None
    announced = before.unconfirmed is not None or before.poll_requested_at >= job.attempt_since
    return JobEnd("push" if pushed or announced else "poll", job.ended_at)
