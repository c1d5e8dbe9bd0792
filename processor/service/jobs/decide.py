"""What to write when updates of a job arrive: decided without I/O.

An update of an unknown job makes the job: a push may come before anybody watches it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from processor import schedule, state_machine
from processor.config import Source
from processor.group import ends_of
from processor.model import (
    FINAL,
    HistoryEntry,
    Job,
    Origin,
    State,
    StatusUpdate,
)
from processor.service.events.publish import DecisionInputs, publish
from processor.service.jobs import confirmation, failed_polls
from processor.service.jobs.failed_polls import FailedPoll
from processor.service.jobs.job_end import (
    detection_delay,
    job_end,
    with_poll_times,
    with_push_missing,
)
from processor.service.jobs.poll_interval import allowed_from, first_poll, intervals, poll_interval
from processor.store.change import Change, NewEvent
from processor.store.groups import end_item
from processor.store.job_lookup import JobLookup
from processor.store.jobs import kept_from, name_of
from processor.store.planned_poll import encode_interval
from processor.store.work_items import NOW, Claim, WorkItem

_encode = msgspec.json.Encoder().encode


Timer = tuple[str, str, str]  # backlog, lane, item


class Hurry(NamedTuple):
    """How a job is polled if somebody waits for it."""

    floor: float  # seconds between two polls, at least
    late: float  # seconds by which polls of the source leave late: it goes ahead by as much


class IncomingUpdate(msgspec.Struct, frozen=True):
    """An update on its way into a job, and the claim that it came with, if any."""

    update: StatusUpdate
    claim: Claim | None = None
    answer: bytes | None = None  # the provider's whole answer, for the mirror
    failed: FailedPoll | None = None  # the poll brought none: the update only names the job
    note: HistoryEntry | None = None  # only for the history: the update only names the job
    hurry: Hurry | None = None  # of a poll: how the next one follows if somebody waits for the job


def new_job(source: Source, job: str, now: float, uid: str) -> Job:
    """The record of a job that is seen for the first time."""
    return Job(
        source=source.name,
        provider=source.profile.name,
        id=job,
        uid=uid,
        kind=source.kind_of(job),
        created_at=now,
        deadline=source.deadline,
        deadline_at=now + source.deadline,
    )


class _Progress(msgspec.Struct):
    """A job on its way through its updates, and what they have caused so far."""

    job: Job
    entries: list[tuple[float, HistoryEntry]] = []
    events: list[NewEvent] = []
    reschedule: bool = False  # the next poll gets a new time
    poll_now: bool = False
    deadline_claimed: bool = False
    answer: bytes | None = None  # the newest answer to a poll
    failed: FailedPoll | None = None  # the newest poll, if it failed
    hurry: Hurry | None = None
    polled_from: float = 0.0  # when the newest answered poll began


def decide(
    lookup: JobLookup, name: str, updates: Sequence[IncomingUpdate], inputs: DecisionInputs
) -> Change:
    """Take a job through all its updates; the change to commit."""
    before = lookup.job
    so_far = _Progress(before or new_job(inputs.source, name, inputs.now, inputs.uid))
    known: list[StatusUpdate] = []
    done: list[Claim] = []
    for incoming in updates:
        known.append(incoming.update)
        if incoming.claim:
            done.append(incoming.claim)
        if incoming.note:
            so_far.entries.append((inputs.now, incoming.note))
        elif incoming.failed:
            _take_failed(so_far, incoming.update, incoming.failed, inputs)
        else:
            _take_update(so_far, incoming, inputs)
    job, end, delay = so_far.job, None, None
    dropped: list[Timer] = []
    if job.state in FINAL:
        end = job_end(before, job, known, inputs.source)
        delay = detection_delay(before, job, known)
        dropped = timers_to_drop(before, job, inputs)
        so_far.job = with_push_missing(job, end) if end else job
    else:
        so_far.job = with_poll_times(job, known, inputs.now)
    job, items = _with_items(before, so_far, inputs)
    return Change(
        job=job,
        version=lookup.version,
        save=job is not before,
        renew=expiry_changed(before, job),
        entries=so_far.entries,
        events=so_far.events,
        done=done,
        answer=so_far.answer,
        items=items,
        dropped=dropped,
        end=end,
        delay=delay,
    )


def _take_failed(
    so_far: _Progress, update: StatusUpdate, failed: FailedPoll, inputs: DecisionInputs
) -> None:
    if not failed_polls.concerns(failed, so_far.job, inputs):
        return
    so_far.failed = failed
    so_far.job, entry, event = failed_polls.count(so_far.job, update, failed, inputs)
    so_far.entries.append((inputs.now, entry))
    so_far.events += [event] if event else []


def _take_update(so_far: _Progress, incoming: IncomingUpdate, inputs: DecisionInputs) -> None:
    source, now = inputs.source, inputs.now
    update, was = confirmation.apply_trust(incoming.update, so_far.job, source)
    step = state_machine.advance(was, update, now)
    job = confirmation.remember_poll_after(step.job, update, source, now, seen=was.seen)
    job = failed_polls.after_update(job, update)
    event = publish(job, step.event, inputs) if step.event else None
    if event:
        so_far.events.append(event)
    so_far.entries.append((now, _entry(was, step, update, event)))
    so_far.job = job
    if step.ignored is None or update.origin is Origin.POLL:
        so_far.reschedule = True
    if update.origin is Origin.DEADLINE:
        so_far.deadline_claimed = True
    elif update.origin is Origin.PUSH and confirmation.should_poll_now(step, update, was, source):
        so_far.poll_now = True
    if update.poll_started_at:
        so_far.polled_from = max(so_far.polled_from, update.poll_started_at)
    if incoming.answer:
        so_far.answer = incoming.answer
    if incoming.hurry and inputs.waited:
        so_far.hurry = incoming.hurry


def _with_items(
    before: Job | None, so_far: _Progress, inputs: DecisionInputs
) -> tuple[Job, list[WorkItem]]:
    """The job after its updates, its timers, and what its groups must learn."""
    job, failed = so_far.job, so_far.failed
    items = timers(
        before,
        job,
        inputs,
        reschedule=so_far.reschedule,
        due=so_far.deadline_claimed,
        hurry=so_far.hurry,
    )
    if failed and not so_far.reschedule:
        items.append(poll_item(job, failed.again_at, failed.again_at - inputs.now))
    if job.provisional and _gives_up(before, job) and inputs.source.cancels(job.kind):
        items.append(cancel_item(job))
    if so_far.poll_now and inputs.now - job.poll_requested_at >= confirmation.MIN_INTERVAL:
        job = replace(job, poll_requested_at=inputs.now)
        items = with_poll_now(items, job, inputs.now)
    elif _must_wait(so_far, job, inputs.now):
        items = with_poll_now(items, job, inputs.now)
    return job, (items + group_items(before, job) if job.groups else items)


def _must_wait(so_far: _Progress, job: Job, now: float) -> bool:
    """Whether the answer to an older poll puts off the poll that a push has asked for since."""
    asked_since = 0.0 < so_far.polled_from < job.poll_requested_at
    return asked_since and allowed_from(job, now) > now


def group_items(before: Job | None, job: Job) -> list[WorkItem]:
    """What the groups of a job must learn of a change."""
    return [end_item(end) for end in ends_of(before, job)]


def with_poll_now(items: list[WorkItem], job: Job, now: float) -> list[WorkItem]:
    """The same timers, with the next poll as soon as the provider allows."""
    return [i for i in items if i.backlog != "poll"] + [poll_item(job, allowed_from(job, now))]


def _entry(
    was: Job, step: state_machine.Transition, update: StatusUpdate, event: NewEvent | None
) -> HistoryEntry:
    return HistoryEntry(
        origin=update.origin,
        status=update.status,
        was=was.state,
        state=step.job.state,
        attempt=step.job.attempt,
        event=event.id if event else None,
        ignored=step.ignored,
        flags=update.flags,
    )


def expiry_changed(before: Job | None, job: Job) -> bool:
    """Whether a job's keys must get another expiry."""
    return before is None or kept_from(before) != kept_from(job)


def timers(
    before: Job | None,
    job: Job,
    inputs: DecisionInputs,
    *,
    reschedule: bool,
    due: bool = False,
    hurry: Hurry | None = None,
) -> list[WorkItem]:
    """The next poll and the deadline of a job, where they must be written.

    `reschedule`: the next poll gets a new time; `due`: the deadline item was claimed; `hurry`: somebody
    waits for the job.
    """
    items = []
    moved = before is None or before.deadline_at != job.deadline_at
    if job.state not in FINAL and (moved or due):
        items.append(_deadline(job, max(job.deadline_at, inputs.now + 1.0 if due else 0.0)))
    if reschedule and _is_polled(job, inputs):
        at = max(
            inputs.now + _until_poll(before, job, inputs, hurry), allowed_from(job, inputs.now)
        )
        at -= hurry.late if hurry else 0.0
        items.append(poll_item(job, at, at - inputs.now))
    return items


def _is_polled(job: Job, inputs: DecisionInputs) -> bool:
    source = inputs.source
    expects_end = job.state not in FINAL or has_later_deadline(job, inputs.now)
    usual = expects_end and job.polling.enabled and source.poll(job.kind) is not None
    return usual or confirmation.awaits_confirmation(job, source, inputs.now)


def has_later_deadline(job: Job, now: float) -> bool:
    """Whether a job that has expired by our deadline was given a later one, until which it is polled."""
    return job.provisional and now < job.deadline_at


def _until_poll(before: Job | None, job: Job, inputs: DecisionInputs, hurry: Hurry | None) -> float:
    source, statistics = inputs.source, inputs.statistics
    if hurry:
        floor = max(intervals(job, source)[0], hurry.floor)
        return floor * (1 - schedule.POLL_JITTER * inputs.random_unit)
    if before is None and not job.polling.every:
        return first_poll(source, job.kind, statistics)
    return poll_interval(job, source, statistics, inputs.now, inputs.random_unit)


def poll_item(job: Job, at: float, interval: float | None = None) -> WorkItem:
    """A poll of a job at a time; `interval` is None if somebody asked for it."""
    return WorkItem("poll", job.source, name_of(job), at, encode_interval(interval))


CANCEL = "cancel:"  # begins the item of a cancel call; a job's poll has its name, `source/id`


def _gives_up(before: Job | None, job: Job) -> bool:
    """Whether a job that has expired by our deadline did so just now, in this attempt."""
    return before is None or not before.provisional or before.attempt != job.attempt


def cancel_item(job: Job) -> WorkItem:
    """The provider's cancel call of this attempt of a job, due now."""
    payload = str(job.attempt).encode()
    return WorkItem("poll", job.source, f"{CANCEL}{name_of(job)}", NOW, payload)


def _deadline(job: Job, at: float) -> WorkItem:
    update = StatusUpdate(
        source=job.source,
        id=job.id,
        status="deadline",
        state=State.EXPIRED,
        at=job.deadline_at,
        origin=Origin.DEADLINE,
    )
    return WorkItem("ingest", job.source, f"deadline:{name_of(job)}", at, _encode(update))


def timers_to_drop(before: Job | None, job: Job, inputs: DecisionInputs) -> list[Timer]:
    """The timers of a job that has just finished.

    At our deadline its planned poll stays, as its last one: polls may have been paused before.
    """
    if before is None or job.state not in FINAL or _end_of(before) == _end_of(job):
        return []
    name = name_of(job)
    deadline = [("ingest", job.source, f"deadline:{name}")]
    if job.provisional or not inputs.source.poll(job.kind):
        return deadline
    return [*deadline, ("poll", job.source, name)]


def _end_of(job: Job) -> tuple[State, bool]:
    return job.state, job.provisional


def with_id(update: StatusUpdate, job: str) -> StatusUpdate:
    """An update with the canonical id of its job; the id that it came with becomes an alias."""
    if update.id == job:
        return update
    return replace(update, id=job, aliases=(*update.aliases, update.id))
