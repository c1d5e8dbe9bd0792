"""The state machine of a job: how one update changes it, decided without I/O.

    queued ──▶ running ──▶ succeeded | failed | canceled | expired   by the provider: final
       └────────────┴────▶ expired                                   by our deadline: provisional
    expired (ours) ──▶ succeeded | failed | canceled | expired       by a late update

Updates are compared by (attempt, rank), and the higher one wins, in whatever order they arrive.
Between equal updates of an unfinished job the newer time wins, and only status and progress
change. So state, attempt and completion event of a job do not depend on order, repetition or loss
of other updates, provided that each attempt gets one final update.
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
DEADLINE_RANK = 2  # expired by our deadline: above running, below every final of the provider

EVENT_OF_STATE = {  # the event of entering a state; becoming queued again emits none
    State.RUNNING: "job.started",
    State.SUCCEEDED: "job.succeeded",
    State.FAILED: "job.failed",
    State.CANCELED: "job.canceled",
    State.EXPIRED: "job.expired",
}
MAX_ALIASES = 32  # aliases of one job; further ones are ignored
FUTURE_TOLERANCE = 300.0  # seconds; a time further in the future is ignored
PROGRESS_EVENTS_APART = 1.0  # seconds; progress in between is stored without an event


class Transition(msgspec.Struct, frozen=True):
    """The result of an update: the job afterwards, and the event to emit.

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
    job = _add_names(job, update)
    attempt = _attempt(job, update)
    if attempt > job.attempt:
        reopened = _start_attempt(job, attempt, now)
        return _change_state(reopened, update, update.state or State.QUEUED, now, was=job.state)
    if attempt == job.attempt:
        was, new = rank(job), _rank_of(update, job)
        if new > was:
            return _change_state(job, update, update.state or job.state, now, was=job.state)
        if new == was and job.state not in FINAL:
            return _update_progress(job, update, now)
    return Transition(job, ignored=_why_ignored(job, update, attempt))


def rank(job: Job) -> int:
    """The rank of a job: queued < running < expired by our deadline < final."""
    return DEADLINE_RANK if job.provisional else RANK[job.state]


def event_id(job: Job) -> str:
    """The id of the job's newest event, computed deterministically from the job.

    The id of a completion does not depend on earlier events, since updates may be lost.
    """
    return job.completion or f"evt_{job.uid}_{job.sequence}"


def poll_stalled_id(job: Job) -> str:
    """The id of the newest `job.poll_stalled`: one for each series of failed polls."""
    return f"evt_{job.uid}_{job.attempt}_stalled_{job.poll_stalls}"


def uid_of(event: str) -> str:
    """The uid of an event's job, taken from the event's id."""
    return event.split("_")[1]


def _rank_of(update: StatusUpdate, job: Job) -> int:
    if update.state is None:  # an unknown status keeps the state
        return min(rank(job), RANK[State.RUNNING])
    return DEADLINE_RANK if update.origin is Origin.DEADLINE else RANK[update.state]


def _attempt(job: Job, update: StatusUpdate) -> int:
    if update.attempt is not None:
        return update.attempt
    return job.attempt + 1 if job.final and _runs_again(job, update) else job.attempt


def _runs_again(job: Job, update: StatusUpdate) -> bool:
    """Whether an update without an attempt number belongs to a run after the one that ended.

    A poll does, if it started after the end and finds the job unfinished. A push does, if it says
    when the last run ended: an unfinished one belongs to the run after that, a final one to a run
    that ended later than ours.
    """
    if update.state in FINAL:
        return update.run_ended_at is not None and update.run_ended_at > (job.finished_at or 0.0)
    if update.state is None:
        return False
    polled_again = update.reopens and (update.poll_started_at or 0.0) > (job.ended_at or 0.0)
    return polled_again or (
        update.run_ended_at is not None and update.run_ended_at >= (job.finished_at or 0.0)
    )


def _why_ignored(job: Job, update: StatusUpdate, attempt: int) -> str:
    if attempt < job.attempt:
        return "older_attempt"
    if job.state not in FINAL:
        return "behind"
    if _rank_of(update, job) < rank(job):
        return "expired" if job.provisional else "finished"
    return "duplicate" if update.state in (job.state, None) else "conflict"


def _start_attempt(job: Job, attempt: int, now: float) -> Job:
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
        push_missing=False,
        expected_at=0.0,
        **_RESET,
    )


_RESET = {
    "progress": None,
    "result": NULL,
    "error": None,
    "counts": None,
    "partial": False,
    "flags": (),
}


def _change_state(
    job: Job, update: StatusUpdate, state: State, now: float, *, was: State
) -> Transition:
    """Enter another state (or a final one after our expiry) and emit its event."""
    event = EVENT_OF_STATE.get(state)
    final, completion = state in FINAL, None
    provisional = update.origin is Origin.DEADLINE
    trace, own_trace = _trace(job, update)
    if final:
        completion = f"evt_{job.uid}_{job.attempt}_{'deadline' if provisional else 'final'}"
    moved = replace(
        job,
        state=state,
        previous_state=was,
        provisional=provisional,
        status=job.status if provisional else update.status,
        status_at=update.at,
        sequence=job.sequence + 1 if event else job.sequence,
        progress=1.0 if state is State.SUCCEEDED else update.progress,
        result=update.result,
        error=update.error,
        counts=update.counts,
        partial=state is State.SUCCEEDED and bool(update.counts and update.counts.failed),
        flags=update.flags,
        origin=update.origin,
        trace=trace,
        own_trace=own_trace,
        started_at=update.at if state is State.RUNNING else job.started_at,
        finished_at=update.at if final else None,
        ended_at=now if final else None,
        completion=completion,
    )
    return Transition(moved, event)


def _update_progress(job: Job, update: StatusUpdate, now: float) -> Transition:
    """Apply the newer status and progress to a job that stays in its state."""
    if update.at < job.status_at <= now + FUTURE_TOLERANCE:
        return Transition(job, ignored="older")
    updated = replace(
        job,
        status=update.status,
        status_at=update.at,
        progress=job.progress if update.progress is None else update.progress,
        result=job.result if update.result == NULL else update.result,
        counts=update.counts or job.counts,
        flags=update.flags,
    )
    progressed = _progress(updated) != _progress(job)
    if not progressed and updated.flags == job.flags:
        return Transition(updated, ignored="duplicate")
    trace, own_trace = _trace(job, update)
    updated = replace(updated, origin=update.origin, trace=trace, own_trace=own_trace)
    too_soon = now - job.progressed_at < PROGRESS_EVENTS_APART
    if job.state is not State.RUNNING or too_soon or not progressed:  # no event shows flags
        return Transition(updated)
    emitted = replace(updated, sequence=job.sequence + 1, progressed_at=now)
    return Transition(emitted, event="job.progressed")


def _trace(job: Job, update: StatusUpdate) -> tuple[str | None, bool]:
    """The trace of a transition, and whether Ringback began it: the update's; but one that Ringback
    began does not end a caller's.
    """
    known, new = job.trace, update.trace
    if new is None:
        return known, job.own_trace
    if known and known.split("-")[1] == new.split("-")[1]:
        return new, job.own_trace
    if known and update.own_trace and not job.own_trace:
        return known, job.own_trace
    return new, update.own_trace


def _progress(job: Job) -> tuple[object, ...]:
    """What may change while a job stays in its state, and is worth an event."""
    return job.status, job.progress, bytes(job.result), job.counts


def _add_names(job: Job, update: StatusUpdate) -> Job:
    """The job with the update's aliases and params added; its state is unchanged.

    A param that is set already is kept, so that the poll request of a job never changes.
    """
    seen = job.seen or update.origin in {Origin.PUSH, Origin.POLL}
    if not update.aliases and not update.params:
        return job if seen is job.seen else replace(job, seen=seen)
    aliases = tuple(a for a in update.aliases if a != job.id and a not in job.aliases)
    aliases = aliases[: max(0, MAX_ALIASES - len(job.aliases))]
    params = update.params | job.params if update.params else job.params
    if seen is job.seen and not aliases and params == job.params:
        return job
    return replace(job, seen=seen, aliases=job.aliases + aliases, params=params)
