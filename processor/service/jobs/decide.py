"""What is to be written when updates arrive at a job: decided without I/O."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from processor import schedule, state_machine
from processor.config import Source
from processor.model import (
    FINAL,
    Entry,
    Job,
    Origin,
    State,
    StatusUpdate,
)
from processor.service.events.publish import Facts, publish
from processor.service.jobs import confirmation
from processor.store.jobs import Change, JobLookup, NewEvent, name_of, over_at
from processor.store.work_items import Claim, WorkItem

_encode = msgspec.json.Encoder().encode


class IncomingUpdate(msgspec.Struct, frozen=True):
    """An update on its way into a job, and the claim that brought it, if any did."""

    update: StatusUpdate
    claim: Claim | None = None
    answer: bytes | None = None  # the provider's whole answer, for the mirror


def new_job(source: Source, job: str, now: float, uid: str) -> Job:
    """A job that nobody told us of before."""
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


def decide(known: JobLookup, name: str, arrivals: Sequence[IncomingUpdate], facts: Facts) -> Change:
    """Take a job through all updates that arrived, and work out what that means."""
    before = known.job
    job = before or new_job(facts.source, name, facts.now, facts.uid)
    entries: list[tuple[float, Entry]] = []
    events: list[NewEvent] = []
    heard = asks = False  # puts the next poll off, or used the last one up; wants one at once
    for arrival in arrivals:
        update, job = confirmation.taken(arrival.update, job, facts.source)
        seen = job.seen
        step = state_machine.advance(job, update, facts.now)
        heard |= step.ignored is None or update.origin is Origin.POLL
        asks |= confirmation.asks(step, update, job, facts.source)
        entries.append((facts.now, _entry(job, step, update)))
        job = confirmation.noted(step.job, update, facts.source, facts.now, seen=seen)
        if step.event:
            events.append(publish(job, step.event, facts))
    due = any(map(_is_deadline, arrivals))
    puts = timers(before, job, facts, heard=heard, due=due)
    if asks and facts.now - job.hinted_at >= confirmation.MIN_INTERVAL:
        job = replace(job, hinted_at=facts.now)
        puts = ask_first(puts, job)
    return Change(
        job=job,
        version=known.version,
        save=job is not before,
        renew=renewed(before, job),
        entries=entries,
        events=events,
        done=[a.claim for a in arrivals if a.claim],
        answer=next((a.answer for a in reversed(arrivals) if a.answer), None),
        puts=puts,
        dropped=_over(before, job, facts.source),
    )


def ask_first(puts: list[WorkItem], job: Job) -> list[WorkItem]:
    """The same timers, but with the next poll as soon as the provider wants one."""
    return [put for put in puts if put.backlog != "poll"] + [poll_at(job, job.again_at)]


def _entry(was: Job, step: state_machine.Step, update: StatusUpdate) -> Entry:
    return Entry(
        origin=update.origin,
        status=update.status,
        was=was.state,
        state=step.job.state,
        attempt=step.job.attempt,
        event=state_machine.event_id(step.job) if step.event else None,
        ignored=step.ignored,
        flags=update.flags,
    )


def polled(job: Job, source: Source) -> bool:
    """Whether a job is to be asked about."""
    return job.state not in FINAL and job.polling.enabled and source.poll(job.kind) is not None


def poll_interval(job: Job, source: Source, now: float, random_unit: float) -> float:
    """Seconds until a job is asked about again: the older it is, the more."""
    poll = source.poll(job.kind)
    every = poll.every if poll else (0.0, 0.0)
    if job.polling.every:
        every = (job.polling.every, job.polling.every)
    return schedule.poll_interval(now - job.created_at, every, random_unit)


def renewed(before: Job | None, job: Job) -> bool:
    """Whether a job's keys are to end at another time than they were."""
    return before is None or over_at(before) != over_at(job)


def _is_deadline(arrival: IncomingUpdate) -> bool:
    return arrival.update.origin is Origin.DEADLINE


def timers(
    before: Job | None, job: Job, facts: Facts, *, heard: bool, due: bool = False
) -> list[WorkItem]:
    """When a job is to be asked about, and when its time is up.

    `heard`: the next poll is to be set anew; `due`: its time seemed to be up.
    """
    if job.state in FINAL:
        return []
    puts = []
    if before is None or before.deadline_at != job.deadline_at or due:
        puts.append(_deadline(job, max(job.deadline_at, facts.now + 1.0 if due else 0.0)))
    if heard and polled(job, facts.source):
        at = facts.now + _until_poll(before, job, facts)
        puts.append(poll_at(job, max(at, job.again_at)))
    return puts


def _until_poll(before: Job | None, job: Job, facts: Facts) -> float:
    poll = facts.source.poll(job.kind)
    if before is None and poll and not job.polling.every:
        return poll.after
    return poll_interval(job, facts.source, facts.now, facts.random_unit)


def poll_at(job: Job, at: float) -> WorkItem:
    """A question about a job, to be asked then; the payload counts failures in a row."""
    return WorkItem("poll", job.source, name_of(job), at, b"0")


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


def _over(before: Job | None, job: Job, source: Source) -> list[tuple[str, str, str]]:
    """The timers of a job that has just finished."""
    if before is None or job.state not in FINAL or before.state is job.state:
        return []
    name = name_of(job)
    over = [("ingest", job.source, f"deadline:{name}")]
    return over + ([("poll", job.source, name)] if source.poll(job.kind) else [])


def renamed(update: StatusUpdate, to: str) -> StatusUpdate:
    """An update that came under an alias, under the job's own id."""
    if update.id == to:
        return update
    return replace(update, id=to, aliases=(*update.aliases, update.id))
