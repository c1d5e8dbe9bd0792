"""Takes jobs through updates: read, decide, commit; again after a conflict."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import structlog

from processor.errors import Contention, Unavailable, WrongKeyType
from processor.event_filters import EventRouter
from processor.model import Job
from processor.service.events.publish import DecisionInputs
from processor.service.jobs.aliases import Failure, JobUpdates, resolve, write_aliases
from processor.service.jobs.decide import IncomingUpdate, decide
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.service.jobs.update_spans import update_spans
from processor.service.runtime.context import Context, random_unit
from processor.store.change import Change, NewEvent
from processor.store.keys import Keys
from processor.store.memory_budget import MemoryBudget
from processor.store.names import new_uid
from processor.store.refusals import Outcome
from processor.store.reserve import deliveries_price
from processor.store.work_items import NOW, Settlement

CHANGE_OVERHEAD = 1000  # bytes of a change beside result and metadata
DELIVERY_SIZE = 300  # bytes of a delivery beside the body of its event, which all share
MAX_TRIES = 3  # commits of a job that others change at the same time
LOGGED = 10  # ids of jobs in one line of the log
RETRY_AFTER = 60.0  # seconds until an update that cannot be written is tried again

FailingJobs = dict[tuple[str, str], float | None]
"""By source and name: when jobs are polled again; None for those whose series of failures has ended."""

log = structlog.get_logger()

_encode = msgspec.json.Encoder().encode


async def advance(context: Context, keys: Keys, updates: Sequence[IncomingUpdate]) -> list[Job]:
    """Take the jobs of one shard through these updates; the jobs that were written.

    Updates that still conflict after `MAX_TRIES` become due again at once, or raise Contention if
    they came without a claim. Where a key has the wrong type, only the updates that need it fail:
    they become due again later, or raise WrongKeyType if they came without a claim.
    """
    jobs: list[Job] = []
    with update_spans(context.tracer, updates) as traced:
        pending = list(traced)
        for _ in range(MAX_TRIES):
            if not pending:
                return jobs
            pending = await _commit_once(context, keys, pending, jobs)
        if pending:
            await _make_due_again(context, pending)
    return jobs


async def _commit_once(
    context: Context, keys: Keys, updates: Sequence[IncomingUpdate], jobs: list[Job]
) -> list[IncomingUpdate]:
    """Decide and commit; the updates whose job was changed by somebody else since it was read."""
    of_jobs = await _resolve(context, keys, updates)
    if not of_jobs:
        return []
    router = await context.store.subscriptions.router(keys)
    await context.store.statistics.refresh()
    waited = await _waited(context, keys, of_jobs)
    now = await context.store.now()
    decided: list[JobUpdates] = []
    changes: list[Change] = []
    for one in of_jobs:
        inputs = _inputs(context, one, router, now, waited=bool(waited) and one.name in waited)
        change = decide(one.lookup, one.id, one.updates, inputs)
        renewed = change.renew and change.job.aliases
        if not renewed or await _renew_aliases(context, one, change.job):
            decided.append(one)
            changes.append(change)
    outcomes = await _commit(context, keys, router, changes)
    written: list[Change] = []
    failing: FailingJobs = {}
    failures: list[Failure] = []
    conflicts: list[IncomingUpdate] = []
    for one, change, outcome in zip(decided, changes, outcomes, strict=True):
        if outcome is True:
            written.append(change)
            jobs.append(change.job)
            if change.job.failed_polls or (one.lookup.job and one.lookup.job.failed_polls):
                failing |= _failing(one, change.job)
        elif outcome is False:
            conflicts += one.updates
        else:
            failures += [(u, outcome) for u in one.updates]
    await _count(context, keys, written, failing)
    if failures:
        await _fail(context, failures)
    return conflicts


async def _count(
    context: Context, keys: Keys, changes: Sequence[Change], failing: FailingJobs
) -> None:
    """Count what was written, and mark the jobs whose polls fail; not if Redis is away by now."""
    context.metrics.committed(changes)
    context.store.statistics.collect([(c.job.source, c.end) for c in changes if c.end])
    if failing:
        with suppress(Unavailable, WrongKeyType):
            await context.store.failing_jobs.note(keys, failing)


def _failing(of_job: JobUpdates, job: Job) -> FailingJobs:
    """When a job is polled again whose poll failed just now; None if its series has ended."""
    name = (of_job.source, of_job.name)
    if not job.failed_polls:
        return {name: None}
    failed = [update.failed.again_at for update in of_job.updates if update.failed]
    return {name: max(failed)} if failed else {}


async def _waited(context: Context, keys: Keys, of_jobs: Sequence[JobUpdates]) -> frozenset[str]:
    """The names of those jobs that were polled, and that somebody waits for."""
    names = {(one.source, one.name) for one in of_jobs for u in one.updates if u.hurry}
    return await context.store.waiters.among(keys, names) if names else frozenset()


async def _resolve(
    context: Context, keys: Keys, updates: Sequence[IncomingUpdate]
) -> list[JobUpdates]:
    """The updates of this shard by job; all others are moved, dropped or failed."""
    resolved = await resolve(context, keys, updates)
    dropped, failures = resolved.dropped, resolved.failures
    _report_expired(context, resolved.expired)
    if resolved.to_move:
        moved, failed = await _move(context, resolved.to_move)
        dropped, failures = [*dropped, *moved], [*failures, *failed]
    if dropped:
        await _settle(context, [Settlement(u.claim) for u in dropped if u.claim])
    if failures:
        await _fail(context, failures)
    return list(resolved.by_job.values())


def _report_expired(context: Context, updates: Sequence[IncomingUpdate]) -> None:
    """Log and count what was held until its time was up."""
    for source, count in Counter(u.update.source for u in updates).items():
        context.metrics.expired(source, count)
        jobs = sorted({u.update.id for u in updates if u.update.source == source})
        log.warning("orphans_expired", source=source, count=count, jobs=jobs[:LOGGED])


async def _renew_aliases(context: Context, of_job: JobUpdates, job: Job) -> bool:
    """Keep the aliases of a job as long as the job; if that fails, so do its updates."""
    try:
        await write_aliases(context, job, job.aliases)
    except WrongKeyType as error:
        await _fail(context, [(u, error) for u in of_job.updates])
        return False
    return True


async def _fail(context: Context, failures: Sequence[Failure]) -> None:
    """Make updates due again later; raise the error of the first one without a claim."""
    later = await context.store.now() + RETRY_AFTER
    for incoming, error in failures:
        if incoming.claim:
            log.error("update_error", item=incoming.claim.item, reason=str(error))
    claims = [u.claim for u, _ in failures if u.claim]
    await _settle(context, [Settlement(c, later, c.payload) for c in claims])
    for incoming, error in failures:
        if incoming.claim is None:
            raise error


async def _commit(
    context: Context, keys: Keys, router: EventRouter, changes: Sequence[Change]
) -> list[Outcome]:
    """Write changes in pieces; the outcome of each. Where memory is short, few deliveries wait."""
    memory = context.store.memory
    outcomes: list[Outcome] = []
    await memory.refresh()
    for piece in memory.in_pieces(dict(enumerate(map(size_of, changes)))):
        batch = changes[piece[0] : piece[-1] + 1]
        delivered = [e for change in batch for e in change.events if e.deliveries]
        most = await _may_wait(memory, delivered, router) if memory.use.limit else None
        rows = await _commit_and_deliver(context, keys, router, batch, delivered, most=most)
        if rows is None:
            await context.store.subscriptions.router(keys, fresh=True)
            break
        outcomes += rows
    return outcomes + [False] * (len(changes) - len(outcomes))


async def _may_wait(
    memory: MemoryBudget, events: Sequence[NewEvent], router: EventRouter
) -> int | None:
    """How many deliveries of a subscription may wait after these events."""
    price = largest = 0
    for event in events:
        size = len(event.body)
        price += deliveries_price(len(event.deliveries), size)
        largest = max(largest, size)
    return await memory.may_wait(price, largest, len(router.active))


async def _commit_and_deliver(
    context: Context,
    keys: Keys,
    router: EventRouter,
    changes: Sequence[Change],
    events: Sequence[NewEvent],
    *,
    most: int | None,
) -> list[Outcome] | None:
    """Write changes, and start the deliveries of their events that this worker has room for."""
    jobs, handover = context.store.jobs, context.handover
    if handover is None or not events:
        return await jobs.commit(keys, router.version, changes, most=most)
    async with handover.room(sum([len(e.deliveries) for e in events])) as room:
        done = await jobs.commit_and_claim(keys, router.version, changes, room, most=most)
        if done is None:
            return None
        other_bodies = done.older_bodies | {
            event.id
            for change, outcome in zip(changes, done.outcomes, strict=True)
            if outcome is not True
            for event in change.events
        }
        if other_bodies:
            events = [event for event in events if event.id not in other_bodies]
        handover.start(done.claims, events, router)
    if done.claims:
        await asyncio.sleep(0)  # they leave before this commit is counted
    return done.outcomes


def size_of(change: Change) -> int:
    """About how many bytes of script arguments a change needs."""
    job = change.job
    size = CHANGE_OVERHEAD + len(memoryview(job.result))
    for event in change.events:
        size += len(event.body) + DELIVERY_SIZE * len(event.deliveries)
    return size + len(_encode(job.metadata)) if job.metadata else size


def _inputs(
    context: Context, of_job: JobUpdates, router: EventRouter, now: float, *, waited: bool
) -> DecisionInputs:
    source, lookup = context.settings.sources[of_job.source], of_job.lookup
    uid = "" if lookup.job else lookup.uid or new_uid()
    statistics = context.store.statistics.of(of_job.source)
    return DecisionInputs(source, router, now, random_unit(), uid, statistics, waited)


async def _move(
    context: Context, updates: Sequence[IncomingUpdate]
) -> tuple[list[IncomingUpdate], list[Failure]]:
    """Enqueue updates that came with an alias under the id of their job; those moved and failed."""
    shard = context.store.shard
    queued = [
        QueuedUpdate(
            shard(u.update.source, u.update.id),
            f"moved:{new_uid()}",
            u.update,
            moved=True,
            hold=context.settings.sources[u.update.source].holds,
        )
        for u in updates
    ]
    results = list(zip(updates, await enqueue(context, queued), strict=True))
    return (
        [u for u, outcome in results if not isinstance(outcome, WrongKeyType)],
        [(u, outcome) for u, outcome in results if isinstance(outcome, WrongKeyType)],
    )


async def _make_due_again(context: Context, updates: Sequence[IncomingUpdate]) -> None:
    claims = [u.claim for u in updates if u.claim]
    await _settle(context, [Settlement(c, NOW, c.payload) for c in claims])
    if len(claims) < len(updates):
        raise Contention("Many calls are changing this job at the same time; try again")


async def _settle(context: Context, settlements: Sequence[Settlement]) -> None:
    for backlog in {s.claim.backlog for s in settlements}:
        await context.store.backlogs.settle([s for s in settlements if s.claim.backlog == backlog])
