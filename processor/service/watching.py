"""What callers wish for jobs: watch them, ask about them now, stop watching."""

import hashlib
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from processor import machine, payload, provider, signing
from processor.config import Source
from processor.egress import check_url
from processor.errors import BlockedTarget, Conflict, Invalid, StoreAway
from processor.model import FINAL, Callback, Job, Polling, StatusUpdate, Subscription
from processor.service.context import Context, chance, new_uid
from processor.service.deciding import (
    Arrival,
    Facts,
    ask_first,
    decide,
    deliver,
    first_sight,
    poll_at,
    renewed,
    timers,
)
from processor.service.looking import Found, find, look, source_of
from processor.service.resolving import point
from processor.store.backlogs import AT_ONCE, Put
from processor.store.jobs import Change, Known, Telling, name_of

CALLBACKS = 8  # a job may have so many
SHORTEST = 0.001  # seconds of any wish
LONGEST_INTERVAL = 86_400.0
LONGEST_DEADLINE = 3650 * 86_400.0
TRIES = 5  # of a change that others get in the way of

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class PollWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"every": "5s"}`."""

    every: str


class Submitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The provider's answer to the caller's own submit call."""

    body: Any
    status: int = 200
    headers: dict[str, str] = {}


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/jobs/{source}/{id}`; everything is optional."""

    metadata: dict[str, Any] = {}
    deadline: str | None = None
    poll: bool | PollWish | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, str] = {}
    aliases: Annotated[list[Text], msgspec.Meta(max_length=16)] = []
    callback_url: str | None = None
    callback_secret: str | None = None
    submitted: Submitted | None = None


async def watch(
    context: Context, name: str, job: str, wish: Wish, trace: str | None = None
) -> tuple[Found, bool]:
    """Watch a job, or add to what is wished for one that is watched; True: it is new.

    `trace` is the `traceparent` of the call.
    """
    source = source_of(context, name)
    submitted = _submitted(source, job, wish, await context.store.now())
    wanted = _Wanted(
        source=source,
        id=_canonical(job, submitted),
        wish=wish,
        aliases=_aliases(job, wish, submitted),
        submitted=submitted,
        callback=_callback(context, wish),
        trace=trace,
    )
    for _ in range(TRIES):
        done = await _try(context, wanted)
        if done is not None:
            return await find(context, name, wanted.id), done
    raise StoreAway("The job is being changed by many at once; try again")


class _Wanted(NamedTuple):
    """A wish, read and checked."""

    source: Source
    id: str
    wish: Wish
    aliases: tuple[str, ...]
    submitted: StatusUpdate | None
    callback: Subscription | None
    trace: str | None


async def _try(context: Context, wanted: _Wanted) -> bool | None:
    """Write a wish once: True for a new job, None when somebody else was faster."""
    keys, name, known = await look(context, wanted.source.name, wanted.id)
    router = await context.store.targets.router(keys)
    facts = Facts(wanted.source, router, await context.store.now(), chance(), new_uid())
    before = known.job
    job = _merged(before or first_sight(wanted.source, name, facts.now, facts.uid), wanted)
    await _point(context, job, before)
    if wanted.callback:
        ends = context.store.jobs.ends(job)
        await context.store.targets.save_callback(keys, wanted.callback, ends)
    change = _change(known, job, wanted, facts)
    done = await context.store.jobs.commit(keys, router.version, [change])
    if done is None:
        await context.store.targets.router(keys, fresh=True)
    return before is None if done and done[0] else None


def _change(known: Known, job: Job, wanted: _Wanted, facts: Facts) -> Change:
    before = known.job
    change = Change(
        job=job,
        version=known.version,
        save=job != before,
        renew=renewed(before, job),
        puts=_timers(before, job, wanted, facts),
        dropped=[] if job.polling.enabled else [("poll", job.source, name_of(job))],
        events=_already(before, job),
    )
    update = wanted.submitted
    if update is None or (update.state in FINAL and wanted.source.poll(job.kind)):
        return change  # a final word in an answer to a submit counts once a poll says so too
    step = decide(known._replace(job=job), job.id, [Arrival(replace(update, id=job.id))], facts)
    over = {(backlog, item) for backlog, _, item in step.dropped}
    return replace(
        change,
        job=step.job,
        save=True,
        entries=step.entries,
        events=[*change.events, *step.events],
        puts=[p for p in change.puts if (p.backlog, p.item) not in over],
        dropped=[*change.dropped, *step.dropped],
    )


def _timers(before: Job | None, job: Job, wanted: _Wanted, facts: Facts) -> list[Put]:
    """New timers, where something about them is new: a repeated PUT puts nothing off."""
    heard = before is None or before.polling != job.polling
    puts = timers(before, job, facts, heard=heard)
    final = wanted.submitted and wanted.submitted.state in FINAL
    if final and job.state not in FINAL and wanted.source.poll(job.kind):
        return ask_first(puts, job)
    return puts


def _already(before: Job | None, job: Job) -> list[Telling]:
    """For a job that had finished: its completion event, to the callbacks that came late."""
    new = [c for c in job.callbacks if before and c not in before.callbacks]
    kind = machine.EVENT.get(job.state)
    if not new or job.completion is None or kind is None:
        return []
    at = job.status_at
    return [
        Telling(
            id=job.completion,
            type=kind,
            body=payload.event_body(job, kind),
            deliveries=tuple(
                deliver(job.completion, kind, c.id, c.lane, at, trace=job.trace) for c in new
            ),
            logged=False,
        )
    ]


def _merged(job: Job, wanted: _Wanted) -> Job:
    wish, callback = wanted.wish, wanted.callback
    deadline = _seconds("deadline", wish.deadline, LONGEST_DEADLINE) or job.deadline
    callbacks = job.callbacks
    known = {job.id, *job.aliases}
    if callback and all(c.id != callback.id for c in callbacks):
        callbacks = (*callbacks, Callback(callback.id, lane_of(callback.url)))
    if len(callbacks) > CALLBACKS:
        raise Invalid(f"callback_url: a job has at most {CALLBACKS} callbacks")
    return replace(
        job,
        metadata=job.metadata | wish.metadata,
        params=job.params | wish.params,
        deadline=deadline,
        deadline_at=job.deadline_at if wish.deadline is None else job.created_at + deadline,
        polling=_polling(job.polling, wish),
        aliases=(*job.aliases, *(a for a in wanted.aliases if a not in known)),
        callbacks=callbacks,
        trace=wanted.trace or job.trace,
    )


def _polling(old: Polling, wish: Wish) -> Polling:
    if wish.poll is msgspec.UNSET:
        return old
    if isinstance(wish.poll, PollWish):
        return Polling(every=_seconds("poll.every", wish.poll.every, LONGEST_INTERVAL))
    return Polling(enabled=bool(wish.poll))


async def _point(context: Context, job: Job, before: Job | None) -> None:
    """Make the job's other names point to it; Conflict, with none written, if one is taken."""
    old = before.aliases if before and not renewed(before, job) else ()
    new = [alias for alias in job.aliases if alias not in old]
    for alias in new:
        place = await look(context, job.source, alias)
        if place.id != job.id and (place.known.job or place.id != alias):
            raise Conflict(f"aliases: {alias!r} already is a job, or an alias of another")
    if await point(context, job, new):
        raise StoreAway("The names are being taken by another job; try again")


def _submitted(source: Source, job: str, wish: Wish, now: float) -> StatusUpdate | None:
    given = wish.submitted
    if given is None:
        return None
    return provider.read_submit(
        source.profile, source.name, job, given.status, given.headers, given.body, now
    )


def _canonical(job: str, submitted: StatusUpdate | None) -> str:
    """The id to watch: the provider's own, unless the caller's is one of its names too."""
    if submitted is None or job in submitted.aliases:
        return job
    return submitted.id


def _aliases(job: str, wish: Wish, submitted: StatusUpdate | None) -> tuple[str, ...]:
    names = [*wish.aliases, *([job, submitted.id, *submitted.aliases] if submitted else [])]
    canonical = _canonical(job, submitted)
    for name in names:
        try:
            provider.check_id(name)
        except ValueError as error:
            raise Invalid(f"aliases: {error}") from None
    return tuple(dict.fromkeys(n for n in names if n != canonical))


def _callback(context: Context, wish: Wish) -> Subscription | None:
    if wish.callback_url is None:
        return None
    secret = wish.callback_secret or context.settings.callback_secret
    if secret is None:
        raise Invalid("callback_url: give a callback_secret, or set RINGBACK_CALLBACK_SECRET")
    check_secret("callback_secret", secret)
    check_target(context, "callback_url", wish.callback_url)
    digest = hashlib.sha256(f"{wish.callback_url} {secret}".encode()).hexdigest()[:24]
    return Subscription(id=f"cb_{digest}", url=wish.callback_url, secrets=(secret,))


def lane_of(url: str) -> str:
    """The lane of a callback target: one a host, however many URLs it has."""
    parts = urlsplit(url)
    return f"cb:{parts.scheme}://{parts.netloc}".lower()


def check_secret(field: str, secret: str) -> None:
    """Invalid unless we can sign with this."""
    try:
        signing.decode_secret(secret)
    except ValueError as error:
        raise Invalid(f"{field}: {error}") from None


def check_target(context: Context, field: str, url: str) -> None:
    """Invalid for a URL that the egress guard refuses."""
    try:
        check_url(url, context.egress.policy)
    except BlockedTarget as error:
        raise Invalid(f"{field}: {error}") from None


def _seconds(field: str, text: str | None, most: float) -> float | None:
    if text is None:
        return None
    try:
        seconds = provider.duration(text)
    except ValueError as error:
        raise Invalid(f"{field}: {error}") from None
    if not SHORTEST <= seconds <= most:
        raise Invalid(f"{field}: must be {SHORTEST:g} s to {most:g} s")
    return seconds


async def ask_now(context: Context, source: str, job: str) -> None:
    """Have a job asked about at once; Conflict where that cannot be."""
    for again in range(TRIES):
        found = await find(context, source, job)
        _check_askable(source_of(context, source), found.job)
        change = Change(
            job=found.job,
            version=found.known.version,
            save=False,
            puts=[poll_at(found.job, AT_ONCE)],
        )
        router = await context.store.targets.router(found.keys, fresh=bool(again))
        if await context.store.jobs.commit(found.keys, router.version, [change]) == [True]:
            return
    raise StoreAway("The job is being changed by many at once; try again")


def _check_askable(source: Source, job: Job) -> None:
    poll = source.poll(job.kind)
    if poll is None:
        raise Conflict(f"This job cannot be polled: {source.why_not_pollable(job.kind)}")
    if job.state in FINAL and not job.provisional and not poll.reopens:
        raise Conflict("This job has finished, and its provider never runs one again")


async def forget(context: Context, source: str, job: str) -> None:
    """Stop watching a job; late pushes of it are ignored for a while."""
    found = await find(context, source, job)
    await context.store.jobs.delete(found.keys, name_of(found.job))
