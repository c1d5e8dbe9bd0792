"""Updates into jobs: read the jobs, decide, commit; again where somebody was faster."""

from collections.abc import Sequence

import msgspec
import structlog

from processor.errors import Contention, WrongKeyType
from processor.event_filters import Router
from processor.model import Job
from processor.service.events.publish import Facts
from processor.service.jobs.aliases import Group, point, resolve
from processor.service.jobs.decide import IncomingUpdate, decide
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.service.runtime.context import Context, random_unit
from processor.store.jobs import Change
from processor.store.keys import Keys
from processor.store.names import new_uid
from processor.store.refusals import Outcome
from processor.store.reserve import deliveries_price
from processor.store.work_items import NOW, Settlement

FRAME = 1000  # bytes of a change beside result and metadata
TRIES = 3  # of a commit whose jobs others change at the same time
LATER = 60.0  # seconds until an update that cannot be taken is tried again

log = structlog.get_logger()


_encode = msgspec.json.Encoder().encode


async def advance(context: Context, keys: Keys, arrivals: Sequence[IncomingUpdate]) -> list[Job]:
    """Take the jobs of one shard through all updates that arrived; the jobs as they now are.

    What could not be committed is due again at once; Contention if no claim brought it. Where a
    key is of another type, only the updates that need it fail: they are due again later, or
    WrongKeyType is raised if no claim brought them.
    """
    jobs: list[Job] = []
    pending = list(arrivals)
    for _ in range(TRIES):
        if not pending:
            return jobs
        pending = await _round(context, keys, pending, jobs)
    await _put_back(context, pending)
    return jobs


async def _round(
    context: Context, keys: Keys, arrivals: Sequence[IncomingUpdate], jobs: list[Job]
) -> list[IncomingUpdate]:
    """Decide and commit once; the arrivals whose job somebody else changed meanwhile."""
    resolved = await resolve(context, keys, arrivals)
    moved, failed = await _move(context, resolved.moved)
    await _over(context, [*moved, *resolved.void])
    await _fail(context, [*resolved.failed, *failed])
    groups = list(resolved.groups.values())
    if not groups:
        return []
    router = await context.store.subscriptions.router(keys)
    now = await context.store.now()
    changes = [decide(g.known, g.id, g.arrivals, _facts(context, g, router, now)) for g in groups]
    groups, changes = await _renew_aliases(context, groups, changes)
    done = await _commit(context, keys, router, changes)
    if context.deliver_soon and any(e.deliveries for change in changes for e in change.events):
        context.deliver_soon()
    good = [change for change, written in zip(changes, done, strict=True) if written is True]
    jobs += [change.job for change in good]
    context.metrics.committed(good)
    ended = list(zip(groups, done, strict=True))
    await _fail(
        context, [(a, e) for g, e in ended if isinstance(e, WrongKeyType) for a in g.arrivals]
    )
    return [a for g, written in ended if written is False for a in g.arrivals]


async def _renew_aliases(
    context: Context, groups: Sequence[Group], changes: Sequence[Change]
) -> tuple[list[Group], list[Change]]:
    """Let the aliases of jobs live as long as these; the groups and changes that are left."""
    kept_groups, kept_changes = [], []
    for group, change in zip(groups, changes, strict=True):
        try:
            if change.renew and change.job.aliases:
                await point(context, change.job, change.job.aliases)
        except WrongKeyType as error:
            await _fail(context, [(a, error) for a in group.arrivals])
        else:
            kept_groups.append(group)
            kept_changes.append(change)
    return kept_groups, kept_changes


async def _fail(context: Context, failed: Sequence[tuple[IncomingUpdate, WrongKeyType]]) -> None:
    """Try updates again later whose keys cannot be written; raise if no claim brought one."""
    if not failed:
        return
    later = await context.store.now() + LATER
    for arrival, error in failed:
        if arrival.claim:
            log.error("update_error", item=arrival.claim.item, reason=str(error))
    await _settle(
        context, [Settlement(a.claim, later, a.claim.payload) for a, _ in failed if a.claim]
    )
    for arrival, error in failed:
        if arrival.claim is None:
            raise error


async def _commit(
    context: Context, keys: Keys, router: Router, changes: Sequence[Change]
) -> list[Outcome]:
    """Write changes in pieces; which were written. Where memory is short few deliveries wait."""
    memory = context.store.memory
    done: list[Outcome] = [False] * len(changes)
    await memory.refresh()
    awake = context.store.backlogs.name if context.deliver_soon else None
    for part in pieces(changes, memory.piece):
        some = [changes[i] for i in part]
        events = [e for change in some for e in change.events if e.deliveries]
        most = await memory.may_wait(
            sum(deliveries_price(len(e.deliveries), len(e.body)) for e in events),
            max((len(e.body) for e in events), default=0),
            len(router.active),
        )
        rows = await context.store.jobs.commit(keys, router.version, some, awake, most=most)
        if rows is None:
            await context.store.subscriptions.router(keys, fresh=True)
            break
        for place, row in zip(part, rows, strict=True):
            done[place] = row
    return done


def pieces(changes: Sequence[Change], size: int) -> list[list[int]]:
    """The places of changes, in pieces of about so many bytes: a script's arguments are memory."""
    found: list[list[int]] = []
    left = 0
    for place, change in enumerate(changes):
        if left <= 0:
            found.append([])
            left = size
        found[-1].append(place)
        left -= size_of(change)
    return found


def size_of(change: Change) -> int:
    """About how many bytes of arguments a change makes."""
    job, bodies = change.job, sum(len(event.body) for event in change.events)
    record = len(bytes(job.result)) + (len(_encode(job.metadata)) if job.metadata else 0)
    return bodies + record + FRAME


def _facts(context: Context, group: Group, router: Router, now: float) -> Facts:
    source = context.settings.sources[group.arrivals[0].update.source]
    return Facts(source, router, now, random_unit(), group.known.uid or new_uid())


async def _move(
    context: Context, arrivals: Sequence[IncomingUpdate]
) -> tuple[list[IncomingUpdate], list[tuple[IncomingUpdate, WrongKeyType]]]:
    """Hand updates that came under an alias to the shard of their job; what was, and what failed."""
    shard = context.store.shard
    moved = [
        QueuedUpdate(
            shard(a.update.source, a.update.id), f"moved:{new_uid()}", a.update, moved=True
        )
        for a in arrivals
    ]
    done = list(zip(arrivals, await enqueue(context, moved), strict=True))
    return (
        [a for a, row in done if not isinstance(row, WrongKeyType)],
        [(a, row) for a, row in done if isinstance(row, WrongKeyType)],
    )


async def _over(context: Context, arrivals: Sequence[IncomingUpdate]) -> None:
    """Settle the claims of updates that are not for this shard, or for nobody."""
    await _settle(context, [Settlement(a.claim) for a in arrivals if a.claim])


async def _put_back(context: Context, arrivals: Sequence[IncomingUpdate]) -> None:
    """Make updates due again at once."""
    claims = [a.claim for a in arrivals if a.claim]
    await _settle(context, [Settlement(c, NOW, c.payload) for c in claims])
    if len(claims) < len(arrivals):
        raise Contention("The job is being changed by many at once; try again")


async def _settle(context: Context, settled: Sequence[Settlement]) -> None:
    for backlog in {s.claim.backlog for s in settled}:
        await context.store.backlogs.settle([s for s in settled if s.claim.backlog == backlog])
