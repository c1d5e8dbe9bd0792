"""PUT and DELETE of a job, and `poll now`."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from msgspec.structs import replace

from processor import payload, provider, state_machine
from processor.config import Source
from processor.egress import NetworkScope, check_url
from processor.errors import BlockedTarget, Conflict, InvalidValue
from processor.group import deletions_of
from processor.model import FINAL, Job, Membership
from processor.service.events.publish import DecisionInputs, delivery_item
from processor.service.jobs import confirmation, watch_request
from processor.service.jobs.aliases import write_aliases
from processor.service.jobs.decide import (
    IncomingUpdate,
    decide,
    expiry_changed,
    group_items,
    new_job,
    poll_item,
    timers,
    with_poll_now,
)
from processor.service.jobs.query import Found, JobLocation, find, locate, source_of
from processor.service.jobs.watch_request import ParsedWatchRequest, WatchRequest, with_request
from processor.service.runtime.contention import until_committed
from processor.service.runtime.context import Context, random_unit
from processor.store.change import Change, NewEvent
from processor.store.groups import end_item
from processor.store.job_lookup import JobLookup
from processor.store.jobs import name_of
from processor.store.names import naming, new_uid
from processor.store.refusals import outcomes
from processor.store.reserve import delivery_price, watch_price
from processor.store.work_items import NOW, WorkItem

_encode = msgspec.json.Encoder().encode


async def watch(
    context: Context, source: str, job: str, body: WatchRequest, trace: str | None = None
) -> tuple[Found, bool]:
    """Watch a job, or change a job that is watched; True if it is new.

    `trace` is the `traceparent` of the call.
    """
    configured, now = source_of(context, source), await context.store.now()
    request = watch_request.parse(context, configured, job, body, now=now, trace=trace)
    new = await register(context, request)
    return await find(context, source, request.id), new


async def register(context: Context, request: ParsedWatchRequest) -> bool:
    """Write a request: True for a new job."""
    turn = _turn(context, request.source.name, request.id)
    return await until_committed("job", turn, partial(_try, context, request))


def check(context: Context, request: ParsedWatchRequest, before: Job | None, now: float) -> Job:
    """The job that a request makes of this one; InvalidValue if it may not. Nothing is written."""
    job = with_request(before or new_job(request.source, request.id, now, ""), request)
    _check_can_be_polled(context, request, job)
    return job


async def _try(context: Context, request: ParsedWatchRequest) -> tuple[bool, bool]:
    """Write a request once: whether nobody else has changed the job meanwhile, and whether it is new."""
    keys, job_id, lookup = await _locate_or_reserve(context, request)
    if job_id != request.id:
        request = request._replace(aliases=(request.id, *request.aliases))
    router = await context.store.subscriptions.router(keys)
    await context.store.statistics.refresh()
    statistics = context.store.statistics.of(request.source.name)
    now, uid = await context.store.now(), lookup.uid or new_uid()
    inputs = DecisionInputs(request.source, router, now, random_unit(), uid, statistics)
    before = lookup.job
    job = with_request(before or new_job(request.source, job_id, now, uid), request)
    _check_can_be_polled(context, request, job)
    change = _change(lookup, job, request, inputs)
    price = _price(before, change)
    async with context.store.memory.admitted(price):
        if not await _write_new_aliases(context, job, before):
            return False, False
        if request.callback:
            ends = context.store.jobs.ends(job)
            await context.store.subscriptions.save_callback(keys, request.callback, ends)
        done = await context.store.jobs.commit(keys, router.version, [change], bounded=bool(price))
    if done is None:
        await context.store.subscriptions.router(keys, fresh=True)
    return bool(done and outcomes(done)[0]), before is None


async def _locate_or_reserve(context: Context, request: ParsedWatchRequest) -> JobLocation:
    """Where the job is or will be kept: a waiting push may have reserved one of its names."""
    source, names = request.source.name, (request.id, *request.aliases)
    location = await locate(context, source, request.id)
    if location.lookup.version or len(names) == 1:
        return location
    for alias in request.aliases:
        if (await locate(context, source, alias)).lookup.job:
            raise _alias_conflict(alias)
    await context.store.names.reserve([naming(source, *names)])
    return await locate(context, source, request.id)


def _price(before: Job | None, change: Change) -> int:
    """Bytes of Redis' memory that a PUT needs: 0 if it changes nothing."""
    deliveries = sum(delivery_price(len(e.body)) for e in change.events for _ in e.deliveries)
    if before == change.job:
        return deliveries
    grown = len(_encode(change.job)) - (len(_encode(before)) if before else 0)
    return deliveries + watch_price(max(grown, 0), new=before is None)


def _change(
    lookup: JobLookup, job: Job, request: ParsedWatchRequest, inputs: DecisionInputs
) -> Change:
    before = lookup.job
    awaited = confirmation.awaits_confirmation(job, request.source, inputs.now)
    polled = job.polling.enabled or awaited
    change = Change(
        job=job,
        version=lookup.version,
        save=job != before,
        renew=expiry_changed(before, job),
        items=_timers(before, job, request, inputs) + group_items(before, job),
        dropped=[] if polled else [("poll", job.source, name_of(job))],
        events=_events_for_late_callbacks(before, job),
    )
    update = request.submitted
    if update is None or (update.state in FINAL and request.source.poll(job.kind)):
        return change  # a final state in the answer to a submit counts once a poll confirms it
    incoming = IncomingUpdate(replace(update, id=job.id))
    step = decide(replace(lookup, job=job), job.id, [incoming], inputs)
    dropped = {(backlog, item) for backlog, _, item in step.dropped}
    return replace(
        change,
        job=step.job,
        save=True,
        entries=step.entries,
        events=[*change.events, *step.events],
        items=[i for i in change.items if (i.backlog, i.item) not in dropped]
        + group_items(job, step.job),
        dropped=[*change.dropped, *step.dropped],
    )


def _timers(
    before: Job | None, job: Job, request: ParsedWatchRequest, inputs: DecisionInputs
) -> list[WorkItem]:
    """The timers that this PUT changes: a repeated PUT does not postpone a poll.

    A later deadline has a job that has expired by the earlier one polled again.
    """
    moved = before is None or before.deadline_at != job.deadline_at
    reschedule = before is None or before.polling != job.polling or (job.provisional and moved)
    items = timers(before, job, inputs, reschedule=reschedule)
    final = request.submitted and request.submitted.state in FINAL
    if final and job.state not in FINAL and request.source.poll(job.kind):
        return with_poll_now(items, job, inputs.now)
    return items


def _events_for_late_callbacks(before: Job | None, job: Job) -> list[NewEvent]:
    """The completion event of a job that had finished, for callbacks added after that."""
    new = [c for c in job.callbacks if before and c not in before.callbacks]
    kind = state_machine.EVENT_OF_STATE.get(job.state)
    if not new or job.completion is None or kind is None:
        return []
    at = job.status_at
    return [
        NewEvent(
            id=job.completion,
            type=kind,
            body=payload.event_body(job, kind),
            deliveries=tuple(
                delivery_item(
                    job.completion, kind, c.id, c.lane, at, trace=job.trace, job=name_of(job)
                )
                for c in new
            ),
            logged=False,
        )
    ]


async def _write_new_aliases(context: Context, job: Job, before: Job | None) -> bool:
    """Write the new aliases of a job. Conflict, and none is written, if one is another job's.

    False: somebody used one of them after we read it.
    """
    old = before.aliases if before and not expiry_changed(before, job) else ()
    new = [alias for alias in job.aliases if alias not in old]
    for alias in new:
        location = await locate(context, job.source, alias)
        if location.id != job.id and location.lookup.deleted:
            raise Conflict(
                f"aliases: {alias!r} was deleted, and is kept free for late pushes of it"
            )
        is_free = location.id == alias and (location.lookup.held or not location.lookup.version)
        if location.id != job.id and not is_free:
            raise _alias_conflict(alias)
    return not await write_aliases(context, job, new)


def _alias_conflict(alias: str) -> Conflict:
    return Conflict(f"aliases: {alias!r} already is a job, or an alias of another")


def _turn(context: Context, source: str, job: str) -> asyncio.Lock:
    """The lock of the callers that change a job by this name."""
    return context.store.jobs.turns[f"{source}/{job}"]


def _check_can_be_polled(context: Context, request: ParsedWatchRequest, job: Job) -> None:
    """InvalidValue for a job whose polls would all fail with what is known of it.

    Where the source takes pushes, params that are missing may come in a push.
    """
    source = request.source
    if source.poll(job.kind) is None or not job.polling.enabled or job.state in FINAL:
        return
    params = {**job.params, **(request.submitted.params if request.submitted else {})}
    account = source.account
    missing = provider.missing_params(source.profile, job.kind, {**params, **account.params})
    if missing and source.takes_pushes:
        return
    try:
        poll = provider.build_poll_request(source.profile, job.kind, job.id, account, params)
        check_url(poll.url, context.egress.policy, NetworkScope.CONFIGURED)
    except (InvalidValue, BlockedTarget) as error:
        remedy = "; or send `poll: false` to watch it without polls" if missing else ""
        raise InvalidValue(f"{error}{remedy}") from None


async def poll_now(context: Context, source: str, job: str) -> None:
    """Make the next poll of a job due now; Conflict if the job cannot be polled."""

    def due_now(found: Found) -> Change:
        _check_may_poll_now(source_of(context, source), found.job)
        return with_item(found, poll_item(found.job, NOW))

    await commit_change(context, source, job, due_now)


def with_item(found: Found, item: WorkItem) -> Change:
    """A change that leaves a job as it is, and enqueues an item for it."""
    return Change(job=found.job, version=found.lookup.version, save=False, items=[item])


async def commit_change(
    context: Context, source: str, job: str, change: Callable[[Found], Change]
) -> None:
    """Commit a change of a job, made of the job as it is; again if somebody else changed it first."""

    async def attempt() -> tuple[bool, None]:
        found = await find(context, source, job)
        wanted = change(found)
        router = await context.store.subscriptions.router(found.keys)
        done = await context.store.jobs.commit(found.keys, router.version, [wanted])
        if done is None:
            await context.store.subscriptions.router(found.keys, fresh=True)
        return bool(done and outcomes(done)[0]), None

    await until_committed("job", _turn(context, source, job), attempt)


def _check_may_poll_now(source: Source, job: Job) -> None:
    poll = source.poll(job.kind)
    if poll is None:
        raise Conflict(f"This job cannot be polled: {source.why_not_pollable(job.kind)}")
    if job.final and not poll.reopens:
        raise Conflict("This job has finished, and its provider never runs a job again")


async def keep_groups(context: Context, location: JobLocation, kept: Sequence[Membership]) -> None:
    """Have a job forget all groups but these; it stays as it is if somebody changes it meanwhile."""
    if (job := location.lookup.job) is None:
        return
    left = replace(job, groups=tuple(kept))
    change = Change(job=left, version=location.lookup.version, save=True)
    router = await context.store.subscriptions.router(location.keys)
    await context.store.jobs.commit(location.keys, router.version, [change])


async def unwatch(context: Context, source: str, job: str) -> None:
    """Stop watching a job; late pushes of it are ignored for a while."""
    store = context.store

    async def attempt() -> tuple[bool, None]:
        found = await find(context, source, job)
        for alias in found.job.aliases:  # first: if this is cut, the next call finds the job
            await store.jobs.unalias(store.shard(source, alias), f"{source}/{alias}", found.job.id)
        items = [end_item(end) for end in deletions_of(found.job)]
        version = found.lookup.version
        done = bool(await store.jobs.delete(found.keys, found.job, version, items))
        if done and found.job.failed_polls:
            marks = {(found.job.source, name_of(found.job)): None}
            await store.failing_jobs.note(found.keys, marks)
        return done, None

    await until_committed("job", _turn(context, source, job), attempt)
