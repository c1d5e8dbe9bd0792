"""When a job is polled next, by its age and by how long the last jobs of its source took. Pure.

A caller's own interval is kept to, and so is a profile's where nothing is to be learnt
(`learn = false`).
"""

from processor import schedule
from processor.config import Source
from processor.model import Job
from processor.poll_schedule import PollSchedule, remaining_time
from processor.schedule import POLL_JITTER
from processor.source_statistics import SourceStatistics

SAME_TIME = 1.0  # seconds by which processes may differ about Redis' time


def poll_interval(
    job: Job, source: Source, statistics: SourceStatistics, now: float, random_unit: float
) -> float:
    """Seconds until the next poll of a job."""
    learnt = None if job.polling.every else poll_schedule(source, job.kind, statistics)
    if learnt is None:
        return schedule.poll_interval(now - job.created_at, intervals(job, source), random_unit)
    gap = learnt.gap(now - job.attempt_since, remaining=remaining(job, now))
    return gap * (1 - POLL_JITTER * random_unit)


def remaining(job: Job, now: float) -> float | None:
    """Seconds that a job still takes by its provider's ETA or progress, if one is known."""
    if job.expected_at > now:
        return job.expected_at - now
    return remaining_time(now - job.attempt_since, job.progress)


def first_poll(source: Source, kind: str | None, statistics: SourceStatistics) -> float:
    """Seconds until the first poll of a job of this kind; 0 if there is none."""
    learnt, poll = poll_schedule(source, kind, statistics), source.poll(kind)
    return learnt.first if learnt else poll.after if poll else 0.0


def intervals(job: Job, source: Source) -> tuple[float, float]:
    """The first and the longest interval between polls of a job, in seconds, if nothing is learnt."""
    poll, own = source.poll(job.kind), job.polling.every
    return (own, own) if own else poll.every if poll else (0.0, 0.0)


def least_gap(job: Job, source: Source) -> float:
    """Seconds between two polls of a job, at least; a longer interval of its own does not count."""
    poll, own = source.poll(job.kind), job.polling.every
    first = poll.every[0] if poll else 0.0
    return min(first, own or first) * (1 - POLL_JITTER)


def allowed_from(job: Job, now: float) -> float:
    """From when on the provider allows a poll; 0 if it does at any time.

    If its last answer came in the future, Redis' clock was set back since, and the moment that was
    stored then may be far away. Due times were moved with the clock, so they count alone.
    """
    answered_at = max(job.created_at, job.polled_at)
    return 0.0 if answered_at > now + SAME_TIME else job.poll_not_before


def earliest_poll(job: Job, source: Source, planned_at: float, now: float) -> float:
    """Before when a poll that was planned at a time is not made, even if somebody waits (seconds)."""
    return max(planned_at + least_gap(job, source), allowed_from(job, now))


def poll_schedule(
    source: Source, kind: str | None, statistics: SourceStatistics
) -> PollSchedule | None:
    """What was learnt about jobs of this kind; None if they are not polled by that."""
    poll = source.poll(kind)
    if poll is None or not source.learns(kind):
        return None
    return statistics.poll_schedule(kind, poll.every, poll.after, pushes=source.pushes(kind))
