"""Push loss: how many final pushes of a source never come, and whether its polls wait for pushes.

A push may come after the poll that found its job's end, so jobs are first counted in a period, and
what a period has shown is judged one period later. What was judged decays with each further job,
so that about the last hundred decide.
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

GRACE = 300.0  # seconds, at least: senders try again after 5 s and 5 min (Standard Webhooks 1.0.0)
KEPT = 0.99  # the part of its weight that a job keeps with each further one
ENOUGH = 20.0  # jobs; fewer decide nothing
POLL_FIRST_FROM = 0.2  # the share of lost pushes from which polls do not wait for pushes …
PUSH_FIRST_FROM = 0.05  # … and up to which they do so again


class Period(msgspec.Struct, frozen=True, omit_defaults=True):
    """Jobs that ended in one period: those whose final push came, and those whose did not yet."""

    arrived: int = 0
    missing: int = 0

    def with_late_push(self) -> "Period":
        """The same with one push less that is missing."""
        return Period(self.arrived + 1, self.missing - 1) if self.missing else self


class PushLoss(msgspec.Struct, frozen=True, omit_defaults=True):
    """The final pushes of one source, for jobs that it is also polled about."""

    arrived: float = 0.0  # decayed
    lost: float = 0.0  # decayed
    lost_ever: int = 0
    since: float = 0.0  # when the present period began
    present: Period = Period()
    last: Period = Period()
    poll_first: bool = False

    @property
    def jobs(self) -> float:
        """How many jobs decide."""
        return self.arrived + self.lost

    @property
    def share(self) -> float:
        """The share of lost pushes; 0.0 without jobs."""
        return self.lost / self.jobs if self.jobs else 0.0

    @property
    def factor(self) -> float:
        """The part of jobs whose end only polls will find; 1.0 until jobs have shown less."""
        return 1.0 if self.poll_first else (self.lost + 1.0) / (self.jobs + 1.0)

    def is_due(self, now: float) -> bool:
        """Whether a period is over that has jobs to judge."""
        return now - self.since >= GRACE and (self.present, self.last) != (Period(), Period())

    def add(self, pushed: int, polled: int, late: Iterable[float], now: float) -> "PushLoss":
        """Count jobs that a push ended, jobs that a poll ended, and late pushes of such jobs.

        Of each late push the time is given when its job ended.
        """
        known = self if abs(now - self.since) < GRACE else next_period(self, now)
        present, last = known.present, known.last
        present = Period(present.arrived + pushed, present.missing + polled)
        for ended_at in late:
            if ended_at < known.since - GRACE:
                continue  # it has been judged
            if ended_at < known.since and last.missing:
                last = last.with_late_push()
            else:
                present = present.with_late_push()
        return replace(known, present=present, last=last)


def next_period(loss: PushLoss, now: float) -> PushLoss:
    """Begin a period, and judge what the one before the last has shown."""
    judged = judge(loss, loss.last)
    last = loss.present
    if now - loss.since >= 2 * GRACE:
        judged, last = judge(judged, last), Period()
    return replace(judged, since=now, present=Period(), last=last)


def judge(loss: PushLoss, period: Period) -> PushLoss:
    """Count a period whose missing pushes are lost, and decide which comes first."""
    jobs = period.arrived + period.missing
    if not jobs:
        return loss
    kept = KEPT**jobs
    each = (1.0 - kept) / (1.0 - KEPT) / jobs  # what a new job weighs after those beside it
    counted = replace(
        loss,
        arrived=loss.arrived * kept + period.arrived * each,
        lost=loss.lost * kept + period.missing * each,
        lost_ever=loss.lost_ever + period.missing,
    )
    return replace(counted, poll_first=is_poll_first(counted))


def is_poll_first(loss: PushLoss) -> bool:
    """Whether polls do not wait for pushes: it takes more to turn than to stay."""
    if loss.jobs < ENOUGH:
        return loss.poll_first
    return loss.share > PUSH_FIRST_FROM if loss.poll_first else loss.share >= POLL_FIRST_FROM
