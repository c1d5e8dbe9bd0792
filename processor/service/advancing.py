"""Updates into jobs: read the jobs, decide, commit; again where somebody was faster."""

from collections.abc import Sequence

from processor.errors import Contention
from processor.filters import Router
from processor.model import Job
from processor.service.accepting import Queued, queue
from processor.service.context import Context, chance
from processor.service.deciding import Arrival, Facts, decide
from processor.service.resolving import Group, point, resolve
from processor.store.keys import Keys
from processor.store.lanes import AT_ONCE, Settled
from processor.store.names import new_uid

TRIES = 3  # of a commit whose jobs others change at the same time


async def advance(context: Context, keys: Keys, arrivals: Sequence[Arrival]) -> list[Job]:
    """Take the jobs of one shard through all updates that arrived; the jobs as they now are.

    What could not be committed is due again at once; Contention if no claim brought it.
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
    context: Context, keys: Keys, arrivals: Sequence[Arrival], jobs: list[Job]
) -> list[Arrival]:
    """Decide and commit once; the arrivals whose job somebody else changed meanwhile."""
    resolved = await resolve(context, keys, arrivals)
    await _move(context, resolved.moved)
    await _over(context, [*resolved.moved, *resolved.void])
    groups = list(resolved.groups.values())
    if not groups:
        return []
    router = await context.store.targets.router(keys)
    now = await context.store.now()
    changes = [decide(g.known, g.id, g.arrivals, _facts(context, g, router, now)) for g in groups]
    for change in changes:
        if change.renew and change.job.aliases:
            await point(context, change.job, change.job.aliases)
    awake = context.store.backlogs.name if context.kick else None
    done = await context.store.jobs.commit(keys, router.version, changes, awake)
    if context.kick and any(e.deliveries for change in changes for e in change.events):
        context.kick()
    if done is None:
        await context.store.targets.router(keys, fresh=True)
        return [a for g in groups for a in g.arrivals]
    good = [change for change, written in zip(changes, done, strict=True) if written]
    jobs += [change.job for change in good]
    context.metrics.committed(good)
    return [a for g, written in zip(groups, done, strict=True) if not written for a in g.arrivals]


def _facts(context: Context, group: Group, router: Router, now: float) -> Facts:
    source = context.settings.sources[group.arrivals[0].update.source]
    return Facts(source, router, now, chance(), group.known.uid or new_uid())


async def _move(context: Context, arrivals: Sequence[Arrival]) -> None:
    """Hand updates that came under an alias to the shard of their job."""
    shard = context.store.shard
    moved = [
        Queued(shard(a.update.source, a.update.id), f"moved:{new_uid()}", a.update, moved=True)
        for a in arrivals
    ]
    await queue(context, moved)


async def _over(context: Context, arrivals: Sequence[Arrival]) -> None:
    """Settle the claims of updates that are not for this shard, or for nobody."""
    await _settle(context, [Settled(a.claim) for a in arrivals if a.claim])


async def _put_back(context: Context, arrivals: Sequence[Arrival]) -> None:
    """Make updates due again at once."""
    claims = [a.claim for a in arrivals if a.claim]
    await _settle(context, [Settled(c, AT_ONCE, c.payload) for c in claims])
    if len(claims) < len(arrivals):
        raise Contention("The job is being changed by many at once; try again")


async def _settle(context: Context, settled: Sequence[Settled]) -> None:
    for backlog in {s.claim.backlog for s in settled}:
        await context.store.backlogs.settle([s for s in settled if s.claim.backlog == backlog])
