"""The state machine: what one update does to one job, decided without I/O.

    queued ──▶ running ──▶ succeeded | failed | canceled | expired   the provider's word: final
       └────────────┴────▶ expired                                   ours: provisional
    expired (ours) ──▶ succeeded | failed | canceled | expired       the provider spoke after all

Updates compare by (attempt, rank); the higher wins, whatever order they come in. Between
equals of a job that is not finished the newer time wins, and only status word and progress
change. So state, attempt and completion event of a job do not depend on the order, the
repetition or the loss of other updates, as long as each attempt has one final one.
"""

import msgspec
from msgspec.structs import replace

from processor.model import FINAL, NULL, Job, Origin, State, StatusUpdate

RANK = {
    State.QUEUED: 0,
    State.RUNNING: 1,
    State.SUCCEEDED: 3,
    State.FAILED: 3,
    State.CANCELED: 3,
    State.EXPIRED: 3,
}
DEADLINE_RANK = 2  # above running, below every word of the provider's

EVENT_OF_STATE = {  # entering a state is told as …; becoming queued again is not told
    State.RUNNING: "job.started",
    State.SUCCEEDED: "job.succeeded",
    State.FAILED: "job.failed",
    State.CANCELED: "job.canceled",
    State.EXPIRED: "job.expired",
}
MAX_ALIASES = 32  # of one job; who sends more is not naming it
FUTURE_TOLERANCE = 300.0  # seconds; a time further ahead of ours is nobody's, and outranks none
PROGRESS_EVENTS_APART = 1.0  # seconds; progress in between is kept, not told


class Transition(msgspec.Struct, frozen=True):
    """The machine's answer: the job as it now is, and what there is to tell.

    `event` is the type of the event to emit, if any; its id is `event_id(job)`.
    `ignored` says why the update changed neither state nor progress, if so:
    `duplicate`, `conflict` (a second, different final), `finished`, `expired`,
    `behind` (queued after running), `older`, `older_attempt`, `early`.
    """

    job: Job
    event: str | None = None
    ignored: str | None = None


def advance(job: Job, update: StatusUpdate, now: float) -> Transition:
    """Apply one update to a job; `now` is Redis time, in seconds."""
    if update.origin is Origin.DEADLINE and now < job.deadline_at:
        return Transition(job, ignored="early")
    attempt = _attempt(job, update)
    if attempt > job.attempt:
        again = _reopened(job, attempt, now)
        return _enter(again, update, update.state or State.QUEUED, now, was=job.state)
    was, new = (job.attempt, rank(job)), (attempt, _rank_of(update, job))
    if new > was:
        return _enter(job, update, update.state or job.state, now, was=job.state)
    if new == was and job.state not in FINAL:
        return _progress(job, update, now)
    return Transition(_add_names(job, update), ignored=_why_ignored(job, update, attempt))


def rank(job: Job) -> int:
    """How far a job is: queued < running < expired by us < final."""
    return DEADLINE_RANK if job.provisional else RANK[job.state]


def event_id(job: Job) -> str:
    """The id of the job's newest event: the same for ever, whoever computes it.

    That of a completion does not count the events before it, of which any may be lost.
    """
    if job.state in FINAL:
        return f"evt_{job.uid}_{job.attempt}_{'deadline' if job.provisional else 'final'}"
    return f"evt_{job.uid}_{job.sequence}"


def uid_of(event: str) -> str:
    """The uid of the record of the job that an event, by its id, is about."""
    return event.split("_")[1]


def _rank_of(update: StatusUpdate, job: Job) -> int:
    if update.state is None:  # an unknown word keeps the state
        return min(rank(job), RANK[State.RUNNING])
    return DEADLINE_RANK if update.origin is Origin.DEADLINE else RANK[update.state]


def _attempt(job: Job, update: StatusUpdate) -> int:
    if update.attempt is not None:
        return update.attempt
    over = rank(job) == RANK[State.SUCCEEDED]
    return job.attempt + 1 if over and _runs_again(job, update) else job.attempt


def _runs_again(job: Job, update: StatusUpdate) -> bool:
    """Whether an update without a number is of another run than the one that ended.

    A poll is, if it began after the end and finds the job at work. A push is, if it tells when
    its last run ended: at work, it is of the run after that; ended, of one that ended later.
    """
    if update.state in FINAL:
        return update.ended is not None and update.ended > (job.finished_at or 0.0)
    if update.state is None:
        return False
    asked = update.reopens and (update.begun or 0.0) > (job.ended_at or 0.0)
    return asked or (update.ended is not None and update.ended >= (job.finished_at or 0.0))


def _why_ignored(job: Job, update: StatusUpdate, attempt: int) -> str:
    if attempt < job.attempt:
        return "older_attempt"
    if job.state not in FINAL:
        return "behind"
    if _rank_of(update, job) < rank(job):
        return "expired" if job.provisional else "finished"
    return "duplicate" if update.state in (job.state, None) else "conflict"


def _reopened(job: Job, attempt: int, now: float) -> Job:
    return replace(
        job,
        attempt=attempt,
        deadline_at=now + job.deadline,
        state=State.QUEUED,
        status_at=0.0,
        provisional=False,
        started_at=None,
        finished_at=None,
        ended_at=None,
        completion=None,
        **_NOTHING_KNOWN,
    )


_NOTHING_KNOWN = {
    "progress": None,
    "result": NULL,
    "error": None,
    "counts": None,
    "partial": False,
    "flags": (),
}


def _enter(job: Job, update: StatusUpdate, state: State, now: float, *, was: State) -> Transition:
    """Move to another state (or to a final from our expiry) and tell it."""
    event = EVENT_OF_STATE.get(state)
    done = state in FINAL
    sequence = job.sequence + (event is not None)
    moved = replace(
        _add_names(job, update),
        state=state,
        previous_state=was,
        provisional=update.origin is Origin.DEADLINE,
        status=job.status if update.origin is Origin.DEADLINE else update.status,
        status_at=update.at,
        sequence=sequence,
        progress=1.0 if state is State.SUCCEEDED else update.progress,
        result=update.result,
        error=update.error,
        counts=update.counts,
        partial=state is State.SUCCEEDED and bool(update.counts and update.counts.failed),
        flags=update.flags,
        origin=update.origin,
        trace=update.trace or job.trace,
        started_at=update.at if state is State.RUNNING else job.started_at,
        finished_at=update.at if done else None,
        ended_at=now if done else None,
    )
    if done:
        moved = replace(moved, completion=event_id(moved))
    return Transition(moved, event=event)


def _progress(job: Job, update: StatusUpdate, now: float) -> Transition:
    """Take the newer word on a job that stays in its state."""
    if update.at < job.status_at <= now + FUTURE_TOLERANCE:
        return Transition(_add_names(job, update), ignored="older")
    news = replace(
        _add_names(job, update),
        status=update.status,
        status_at=update.at,
        progress=job.progress if update.progress is None else update.progress,
        result=job.result if update.result == NULL else update.result,
        counts=update.counts or job.counts,
        flags=update.flags,
    )
    if _shown(news) == _shown(job):
        return Transition(news, ignored="duplicate")
    news = replace(news, origin=update.origin, trace=update.trace or job.trace)
    if job.state is not State.RUNNING or now - job.progressed_at < PROGRESS_EVENTS_APART:
        return Transition(news)
    told = replace(news, sequence=job.sequence + 1, progressed_at=now)
    return Transition(told, event="job.progressed")


def _shown(job: Job) -> tuple[object, ...]:
    """What is news about a job that stays in its state."""
    return job.status, job.progress, bytes(job.result), job.counts, job.flags


def _add_names(job: Job, update: StatusUpdate) -> Job:
    """The job with the other names and the params that an update tells; its state is untouched.

    A param that was told before stays: what a job is asked with does not wander.
    """
    seen = job.seen or update.origin is not Origin.DEADLINE
    aliases = tuple(a for a in update.aliases if a != job.id and a not in job.aliases)
    aliases = aliases[: max(0, MAX_ALIASES - len(job.aliases))]
    params = update.params | job.params if update.params else job.params
    if seen is job.seen and not aliases and params == job.params:
        return job
    return replace(job, seen=seen, aliases=job.aliases + aliases, params=params)
