"""What is to be written when updates arrive at a job: decided without I/O."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from processor import machine, payload, schedule
from processor.config import Source
from processor.filters import COMPLETED, Router
from processor.model import (
    FINAL,
    Delivery,
    Entry,
    Job,
    Origin,
    State,
    StatusUpdate,
    Turn,
)
from processor.service import hinting
from processor.service.ordering import turn_of
from processor.store.jobs import Change, Known, Telling, name_of, over_at
from processor.store.lanes import AT_ONCE, Claim, Put

_encode = msgspec.json.Encoder().encode


class Arrival(msgspec.Struct, frozen=True):
    """An update on its way into a job, and the claim that brought it, if any did."""

    update: StatusUpdate
    claim: Claim | None = None
    answer: bytes | None = None  # the provider's whole answer, for the mirror


class Facts(msgspec.Struct, frozen=True):
    """All that a decision needs beside the job and its updates."""

    source: Source
    router: Router
    now: float
    chance: float
    uid: str  # for a job that is new


def first_sight(source: Source, job: str, now: float, uid: str) -> Job:
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


def decide(known: Known, name: str, arrivals: Sequence[Arrival], facts: Facts) -> Change:
    """Take a job through all updates that arrived, and work out what that means."""
    before = known.job
    job = before or first_sight(facts.source, name, facts.now, facts.uid)
    entries: list[tuple[float, Entry]] = []
    events: list[Telling] = []
    heard = asks = False  # puts the next poll off, or used the last one up; wants one at once
    for arrival in arrivals:
        update, job = hinting.taken(arrival.update, job, facts.source)
        seen = job.seen
        step = machine.advance(job, update, facts.now)
        heard |= step.ignored is None or update.origin is Origin.POLL
        asks |= hinting.asks(step, update, job, facts.source)
        entries.append((facts.now, _entry(job, step, update)))
        job = hinting.noted(step.job, update, facts.source, facts.now, seen=seen)
        if step.event:
            events.append(tell(job, step.event, facts))
    due = any(map(_is_deadline, arrivals))
    puts = timers(before, job, facts, heard=heard, due=due)
    if asks and facts.now - job.hinted_at >= hinting.APART:
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


def ask_first(puts: list[Put], job: Job) -> list[Put]:
    """The same timers, but with the next poll as soon as the provider wants one."""
    return [put for put in puts if put.backlog != "poll"] + [poll_at(job, job.again_at)]


def _entry(was: Job, step: machine.Step, update: StatusUpdate) -> Entry:
    return Entry(
        origin=update.origin,
        status=update.status,
        was=was.state,
        state=step.job.state,
        attempt=step.job.attempt,
        event=machine.event_id(step.job) if step.event else None,
        ignored=step.ignored,
        flags=update.flags,
    )


def tell(job: Job, kind: str, facts: Facts) -> Telling:
    """An event of a job, and a delivery of it for each that wants it."""
    event = machine.event_id(job)
    wanting = facts.router.wanting(kind, job.source, job.provider, job.metadata)
    places = [(s.id, s.id, turn_of(s, job)) for s in wanting]
    if kind in COMPLETED:
        places += [(callback.id, callback.lane, None) for callback in job.callbacks]
    return Telling(
        id=event,
        type=kind,
        body=payload.event_body(job, kind),
        deliveries=tuple(
            deliver(event, kind, target, lane, facts.now, trace=job.trace, turn=turn)
            for target, lane, turn in places
        ),
    )


def deliver(
    event: str,
    kind: str,
    target: str,
    lane: str,
    now: float,
    *,
    trace: str | None = None,
    turn: Turn | None = None,
) -> Put:
    """A delivery, due at once, or when it is its turn."""
    delivery = Delivery(f"{event}.{target}", event, kind, target, now, trace=trace, turn=turn)
    return Put("deliver", lane, delivery.id, AT_ONCE, _encode(delivery), turn)


def polled(job: Job, source: Source) -> bool:
    """Whether a job is to be asked about."""
    return job.state not in FINAL and job.polling.enabled and source.poll(job.kind) is not None


def poll_interval(job: Job, source: Source, now: float, chance: float) -> float:
    """Seconds until a job is asked about again: the older it is, the more."""
    poll = source.poll(job.kind)
    every = poll.every if poll else (0.0, 0.0)
    if job.polling.every:
        every = (job.polling.every, job.polling.every)
    return schedule.poll_interval(now - job.created_at, every, chance)


def renewed(before: Job | None, job: Job) -> bool:
    """Whether a job's keys are to end at another time than they were."""
    return before is None or over_at(before) != over_at(job)


def _is_deadline(arrival: Arrival) -> bool:
    return arrival.update.origin is Origin.DEADLINE


def timers(
    before: Job | None, job: Job, facts: Facts, *, heard: bool, due: bool = False
) -> list[Put]:
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
    return poll_interval(job, facts.source, facts.now, facts.chance)


def poll_at(job: Job, at: float) -> Put:
    """A question about a job, to be asked then; the payload counts failures in a row."""
    return Put("poll", job.source, name_of(job), at, b"0")


def _deadline(job: Job, at: float) -> Put:
    update = StatusUpdate(
        source=job.source,
        id=job.id,
        status="deadline",
        state=State.EXPIRED,
        at=job.deadline_at,
        origin=Origin.DEADLINE,
    )
    return Put("ingest", job.source, f"deadline:{name_of(job)}", at, _encode(update))


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
