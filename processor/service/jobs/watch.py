"""Jobs that callers watch: begin, add what is wished for, ask now, stop."""

import msgspec
from msgspec.structs import replace

from processor import payload, provider, state_machine
from processor.config import Source
from processor.egress import Reach, check_url
from processor.errors import BlockedTarget, Conflict, Contention, InvalidValue
from processor.model import FINAL, Job
from processor.service.events.publish import Facts, delivery_item
from processor.service.jobs import watch_request
from processor.service.jobs.aliases import point
from processor.service.jobs.decide import (
    IncomingUpdate,
    ask_first,
    decide,
    new_job,
    poll_at,
    renewed,
    timers,
)
from processor.service.jobs.query import Found, Place, find, look, source_of
from processor.service.jobs.watch_request import ParsedWatchRequest, WatchRequest, merged
from processor.service.runtime.context import Context, random_unit
from processor.store.jobs import Change, JobLookup, NewEvent, name_of
from processor.store.names import naming, new_uid
from processor.store.refusals import outcomes
from processor.store.reserve import delivery_price, watch_price
from processor.store.work_items import NOW, WorkItem

_encode = msgspec.json.Encoder().encode

TRIES = 5  # of a change that others get in the way of


async def watch(
    context: Context, name: str, job: str, wish: WatchRequest, trace: str | None = None
) -> tuple[Found, bool]:
    """Watch a job, or add to what is wished for one that is watched; True: it is new.

    `trace` is the `traceparent` of the call.
    """
    source = source_of(context, name)
    wanted = watch_request.read(
        context, source, job, wish, now=await context.store.now(), trace=trace
    )
    for _ in range(TRIES):
        done = await _try(context, wanted)
        if done is not None:
            return await find(context, name, wanted.id), done
    raise Contention("The job is being changed by many at once; try again")


async def _try(context: Context, wanted: ParsedWatchRequest) -> bool | None:
    """Write a wish once: True for a new job, None when somebody else was faster."""
    keys, name, known = await _place(context, wanted)
    if name != wanted.id:
        wanted = wanted._replace(aliases=(wanted.id, *wanted.aliases))
    router = await context.store.subscriptions.router(keys)
    now, uid = await context.store.now(), known.uid or new_uid()
    facts = Facts(wanted.source, router, now, random_unit(), uid)
    before = known.job
    job = merged(before or new_job(wanted.source, name, facts.now, facts.uid), wanted)
    _check_question(context, wanted, job)
    change = _change(known, job, wanted, facts)
    price = _price(before, change)
    async with context.store.memory.admitted(price):
        if not await _point(context, job, before):
            return None
        if wanted.callback:
            ends = context.store.jobs.ends(job)
            await context.store.subscriptions.save_callback(keys, wanted.callback, ends)
        done = await context.store.jobs.commit(keys, router.version, [change], bounded=bool(price))
    if done is None:
        await context.store.subscriptions.router(keys, fresh=True)
    return before is None if done and outcomes(done)[0] else None


async def _place(context: Context, wanted: ParsedWatchRequest) -> Place:
    """Where the job is or will be; pushes that wait may have given one of its names an id."""
    source, names = wanted.source.name, (wanted.id, *wanted.aliases)
    place = await look(context, source, wanted.id)
    if place.known.version or len(names) == 1:
        return place
    for alias in wanted.aliases:
        if (await look(context, source, alias)).known.job:
            raise _taken(alias)
    await context.store.names.reserve([naming(source, *names)])
    return await look(context, source, wanted.id)


def _price(before: Job | None, change: Change) -> int:
    """What a PUT takes of Redis' memory: nothing where it says what is known already."""
    deliveries = sum(delivery_price(len(e.body)) for e in change.events for _ in e.deliveries)
    if before == change.job:
        return deliveries
    grown = len(_encode(change.job)) - (len(_encode(before)) if before else 0)
    return deliveries + watch_price(max(grown, 0), new=before is None)


def _change(known: JobLookup, job: Job, wanted: ParsedWatchRequest, facts: Facts) -> Change:
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
    step = decide(
        known._replace(job=job), job.id, [IncomingUpdate(replace(update, id=job.id))], facts
    )
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


def _timers(
    before: Job | None, job: Job, wanted: ParsedWatchRequest, facts: Facts
) -> list[WorkItem]:
    """New timers, where something about them is new: a repeated PUT puts nothing off."""
    heard = before is None or before.polling != job.polling
    puts = timers(before, job, facts, heard=heard)
    final = wanted.submitted and wanted.submitted.state in FINAL
    if final and job.state not in FINAL and wanted.source.poll(job.kind):
        return ask_first(puts, job)
    return puts


def _already(before: Job | None, job: Job) -> list[NewEvent]:
    """For a job that had finished: its completion event, to the callbacks that came late."""
    new = [c for c in job.callbacks if before and c not in before.callbacks]
    kind = state_machine.EVENT.get(job.state)
    if not new or job.completion is None or kind is None:
        return []
    at = job.status_at
    return [
        NewEvent(
            id=job.completion,
            type=kind,
            body=payload.event_body(job, kind),
            deliveries=tuple(
                delivery_item(job.completion, kind, c.id, c.lane, at, trace=job.trace) for c in new
            ),
            logged=False,
        )
    ]


async def _point(context: Context, job: Job, before: Job | None) -> bool:
    """Make the job's other names point to it; Conflict, with none written, if one is taken.

    False: somebody took one just now.
    """
    old = before.aliases if before and not renewed(before, job) else ()
    new = [alias for alias in job.aliases if alias not in old]
    for alias in new:
        place = await look(context, job.source, alias)
        if place.id != job.id and place.known.deleted:
            raise Conflict(
                f"aliases: {alias!r} was deleted, and is kept free for late pushes of it"
            )
        if place.id != job.id and (place.known.version or place.id != alias):
            raise _taken(alias)
    return not await point(context, job, new)


def _taken(alias: str) -> Conflict:
    return Conflict(f"aliases: {alias!r} already is a job, or an alias of another")


def _check_question(context: Context, wanted: ParsedWatchRequest, job: Job) -> None:
    """Invalid for a job that would be asked about in vain: with what is known it cannot be.

    What is not known yet a push may tell, where there are any.
    """
    source = wanted.source
    if source.poll(job.kind) is None or not job.polling.enabled or job.state in FINAL:
        return
    told = wanted.submitted.params if wanted.submitted else {}
    params = {**job.params, **told}
    account = source.account_now()
    lacks = provider.missing(source.profile, job.kind, {**params, **account.params})
    if lacks and source.takes_pushes:
        return
    try:
        request = provider.request(source.profile, job.kind, job.id, account, params)
        check_url(request.url, context.egress.policy, Reach.CONFIGURED)
    except (InvalidValue, BlockedTarget) as error:
        remedy = "; `poll: false` watches it all the same" if lacks else ""
        raise InvalidValue(f"{error}{remedy}") from None


async def poll_now(context: Context, source: str, job: str) -> None:
    """Have a job asked about at once; Conflict where that cannot be."""
    for again in range(TRIES):
        found = await find(context, source, job)
        _check_askable(source_of(context, source), found.job)
        change = Change(
            job=found.job,
            version=found.known.version,
            save=False,
            puts=[poll_at(found.job, NOW)],
        )
        router = await context.store.subscriptions.router(found.keys, fresh=bool(again))
        done = await context.store.jobs.commit(found.keys, router.version, [change])
        if outcomes(done or [False])[0]:
            return
    raise Contention("The job is being changed by many at once; try again")


def _check_askable(source: Source, job: Job) -> None:
    poll = source.poll(job.kind)
    if poll is None:
        raise Conflict(f"This job cannot be polled: {source.why_not_pollable(job.kind)}")
    if job.state in FINAL and not job.provisional and not poll.reopens:
        raise Conflict("This job has finished, and its provider never runs one again")


async def forget(context: Context, source: str, job: str) -> None:
    """Stop watching a job; late pushes of it are ignored for a while."""
    found = await find(context, source, job)
    store = context.store
    for alias in found.job.aliases:  # first: a call that was cut short finds the job again
        await store.jobs.unalias(store.shard(source, alias), f"{source}/{alias}", found.job.id)
    await store.jobs.delete(found.keys, name_of(found.job))
