"""Jobs as callers see them: watch, look, wait, ask now, stop watching."""

import asyncio
import hashlib
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from processor import machine, payload, provider, signing
from processor.config import Source
from processor.egress import check_url
from processor.errors import BlockedTarget, Conflict, Invalid, NotFound, StoreAway
from processor.model import FINAL, Callback, Job, Polling, StatusUpdate, Subscription
from processor.service.context import Context, chance, new_uid
from processor.service.deciding import (
    Arrival,
    Facts,
    decide,
    deliver,
    first_sight,
    poll_at,
    renewed,
    timers,
)
from processor.service.running import policy
from processor.service.tailing import Tailer
from processor.store.backlogs import AT_ONCE, Put
from processor.store.jobs import Change, Known, Telling, ends, name_of
from processor.store.keys import Keys

CALLBACKS = 8  # a job may have so many
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


class Found(NamedTuple):
    """A job, and where it was found."""

    keys: Keys
    known: Known
    job: Job


async def find(context: Context, source: str, job: str) -> Found:
    """A job by its id or an alias; NotFound if there is none."""
    keys, known = await look(context, source, job)
    if known.job is None:
        raise NotFound(f"No job {job!r} at source {source!r} is watched: PUT it first")
    return Found(keys, known, known.job)


async def look(context: Context, source: str, job: str) -> tuple[Keys, Known]:
    """What stands under a name, behind its alias if it is one."""
    keys = context.store.shard(source, job)
    (known,) = await context.store.jobs.read(keys, [f"{source}/{job}"])
    if known.to:
        keys = context.store.shard(source, known.to)
        (known,) = await context.store.jobs.read(keys, [f"{source}/{known.to}"])
    return keys, known


async def view(context: Context, found: Found) -> dict[str, Any]:
    """A job as the API shows it."""
    job = found.job
    place = (job.source, name_of(job))
    (at,) = await context.store.backlogs.due_at(found.keys, "poll", [place])
    return payload.view(job, at)


def source_of(context: Context, name: str) -> Source:
    """A source by name; NotFound if it is not configured."""
    source = context.settings.sources.get(name)
    if source is None:
        raise NotFound(f"No source {name!r}: it needs a [sources.{name}] in the configuration")
    return source


async def wait(context: Context, tailer: Tailer, source: str, job: str, seconds: float) -> Found:
    """A job once it is finished, or as it is when the time is up."""
    found = await find(context, source, job)
    if found.job.state in FINAL or not seconds:
        return found
    async with tailer.finishing(found.job.uid) as done:  # listen first, then look again
        found = await find(context, source, job)
        if found.job.state in FINAL:
            return found
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            pass
    return await find(context, source, job)


async def watch(context: Context, name: str, job: str, wish: Wish) -> tuple[Found, bool]:
    """Watch a job, or add to what is wished for one that is watched; True: it is new."""
    source = source_of(context, name)
    submitted = _submitted(source, job, wish, await context.store.now())
    wanted = _Wanted(
        source=source,
        id=_canonical(job, submitted),
        wish=wish,
        aliases=_aliases(job, wish, submitted),
        submitted=submitted,
        callback=_callback(context, wish),
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


async def _try(context: Context, wanted: _Wanted) -> bool | None:
    """Write a wish once: True for a new job, None when somebody else was faster."""
    keys, known = await look(context, wanted.source.name, wanted.id)
    router = await context.store.targets.router()
    facts = Facts(wanted.source, router, await context.store.now(), chance(), new_uid())
    before = known.job
    job = _merged(before or first_sight(facts, wanted.id, facts.now), wanted)
    await _point_aliases(context, job, before)
    if wanted.callback:
        await context.store.targets.save_callback(keys, wanted.callback, ends(job))
    change = _change(known, job, wanted, facts)
    done = await context.store.jobs.commit(keys, router.version, [change])
    if done is None:
        await context.store.targets.router(fresh=True)
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
    return replace(
        change, job=step.job, save=True, entries=step.entries, events=[*change.events, *step.events]
    )


def _timers(before: Job | None, job: Job, wanted: _Wanted, facts: Facts) -> list[Put]:
    """New timers, where something about them is new: a repeated PUT puts nothing off."""
    puts = timers(before, job, facts)
    if before is not None and before.polling == job.polling:
        puts = [put for put in puts if put.backlog != "poll"]
    final = wanted.submitted and wanted.submitted.state in FINAL
    if final and job.state not in FINAL and wanted.source.poll(job.kind):
        puts = [p for p in puts if p.backlog != "poll"] + [poll_at(job, AT_ONCE)]
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
            deliveries=tuple(deliver(job.completion, kind, c.id, c.lane, at) for c in new),
            logged=False,
        )
    ]


def _merged(job: Job, wanted: _Wanted) -> Job:
    wish, callback = wanted.wish, wanted.callback
    deadline = _seconds("deadline", wish.deadline) or job.deadline
    callbacks = job.callbacks
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
        aliases=(*job.aliases, *(a for a in wanted.aliases if a not in job.aliases)),
        callbacks=callbacks,
    )


def _polling(old: Polling, wish: Wish) -> Polling:
    if wish.poll is msgspec.UNSET:
        return old
    if isinstance(wish.poll, PollWish):
        return Polling(every=_seconds("poll.every", wish.poll.every))
    return Polling(enabled=bool(wish.poll))


async def _point_aliases(context: Context, job: Job, before: Job | None) -> None:
    for alias in job.aliases:
        if before is None or alias not in before.aliases or before.deadline_at != job.deadline_at:
            keys = context.store.shard(job.source, alias)
            name = f"{job.source}/{alias}"
            if not await context.store.jobs.alias(keys, name, job.id, ends(job)):
                raise Conflict(f"aliases: {alias!r} already is a job, or an alias of another")


def _submitted(source: Source, job: str, wish: Wish, now: float) -> StatusUpdate | None:
    given = wish.submitted
    if given is None:
        return None
    return provider.read_submit(
        source.profile,
        source.name,
        given.status,
        given.headers,
        given.body,
        now,
        source.kind_of(job),
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
        check_url(url, policy(context.settings))
    except BlockedTarget as error:
        raise Invalid(f"{field}: {error}") from None


def _seconds(field: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return provider.duration(text)
    except ValueError as error:
        raise Invalid(f"{field}: {error}") from None


async def ask_now(context: Context, source: str, job: str) -> None:
    """Have a job asked about at once; Conflict where that cannot be."""
    found = await find(context, source, job)
    configured = source_of(context, source)
    why = configured.why_not_pollable(found.job.kind)
    poll = configured.poll(found.job.kind)
    if poll is None:
        raise Conflict(f"This job cannot be polled: {why}")
    if found.job.state in FINAL and not found.job.provisional and not poll.reopens:
        raise Conflict("This job has finished, and its provider never runs one again")
    router = await context.store.targets.router()
    put = poll_at(found.job, AT_ONCE)
    change = Change(job=found.job, version=found.known.version, save=False, puts=[put])
    while await context.store.jobs.commit(found.keys, router.version, [change]) is None:
        router = await context.store.targets.router(fresh=True)


async def forget(context: Context, source: str, job: str) -> None:
    """Stop watching a job; late pushes of it are ignored for a while."""
    found = await find(context, source, job)
    await context.store.jobs.delete(found.keys, name_of(found.job))


async def history(context: Context, source: str, job: str) -> list[dict[str, Any]]:
    """What happened to a job, oldest first."""
    found = await find(context, source, job)
    return await context.store.jobs.history(found.keys, name_of(found.job))
