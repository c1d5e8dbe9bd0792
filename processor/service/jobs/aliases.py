"""Which job an update is about: its own id's, or the one whose alias it came under.

The canonical id of a job is the first one seen, and never changes. A name that already is a
job is never merged into another: the update says so in its flags (`alias_conflict`).
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from processor.errors import WrongKeyType
from processor.model import Job, Origin, StatusUpdate
from processor.service.jobs.decide import IncomingUpdate, new_job, renamed
from processor.service.runtime.context import Context
from processor.store.jobs import JobLookup
from processor.store.keys import Keys


class Group(msgspec.Struct):
    """All arrivals at one job, and what stood under its name."""

    id: str
    known: JobLookup
    arrivals: list[IncomingUpdate]


class Resolved(msgspec.Struct):
    """Arrivals by job; those to be moved to another shard; those for nobody; those that failed."""

    groups: dict[str, Group]
    moved: list[IncomingUpdate]
    void: list[IncomingUpdate]
    failed: list[tuple[IncomingUpdate, WrongKeyType]]


async def resolve(context: Context, keys: Keys, arrivals: Sequence[IncomingUpdate]) -> Resolved:
    """Sort arrivals of one shard by the job that they are about."""
    names = _Names(context, keys)
    await names.read({(a.update.source, a.update.id) for a in arrivals})
    await names.follow(arrivals)
    found = Resolved({}, [], [], [])
    for arrival in arrivals:
        job = names.canonical(arrival.update)
        if job is None or _nothing_expires(names, arrival.update, job):
            found.void.append(arrival)
        elif context.store.shard(arrival.update.source, job) is not keys:
            found.moved.append(replace(arrival, update=renamed(arrival.update, job)))
        else:
            await _join(context, found, names, arrival, job)
    return found


async def _join(
    context: Context, found: Resolved, names: "_Names", arrival: IncomingUpdate, job: str
) -> None:
    update = renamed(arrival.update, job)
    name = f"{update.source}/{job}"
    known = names.known[update.source, job]
    if update.aliases:
        try:
            update = await _with_aliases(context, known, update)
        except WrongKeyType as error:
            found.failed.append((arrival, error))
            return
    group = found.groups.setdefault(name, Group(job, known, []))
    group.arrivals.append(arrival if update is arrival.update else replace(arrival, update=update))


async def _with_aliases(context: Context, known: JobLookup, update: StatusUpdate) -> StatusUpdate:
    """Write the pointers of new aliases; take out those that are something else already."""
    old = known.job.aliases if known.job else ()
    new = [a for a in update.aliases if a not in (update.id, *old)]
    if not new:
        return update
    job = known.job or new_job(
        context.settings.sources[update.source], update.id, await context.store.now(), ""
    )
    refused = await point(context, job, new)
    if not refused:
        return update
    kept = tuple(a for a in update.aliases if a not in refused)
    return replace(update, aliases=kept, flags=(*update.flags, "alias_conflict"))


async def point(context: Context, job: Job, aliases: Iterable[str]) -> list[str]:
    """Make names point to a job, as long as it is kept; those that are something else."""
    jobs, refused = context.store.jobs, []
    for alias in aliases:
        keys = context.store.shard(job.source, alias)
        if not await jobs.alias(keys, f"{job.source}/{alias}", job.id, jobs.ends(job)):
            refused.append(alias)
    return refused


def _nothing_expires(names: "_Names", update: StatusUpdate, job: str) -> bool:
    """Whether this is the deadline of a job that is no more."""
    return update.origin is Origin.DEADLINE and names.known[update.source, job].job is None


class _Names:
    """What stands under the names that some updates use."""

    def __init__(self, context: Context, keys: Keys) -> None:
        self._context = context
        self._keys = keys
        self.known: dict[tuple[str, str], JobLookup] = {}

    async def read(self, names: Iterable[tuple[str, str]]) -> None:
        """Read names, each in its own shard."""
        by_shard: dict[int, list[tuple[str, str]]] = {}
        for source, job in names:
            if (source, job) not in self.known:
                shard = self._context.store.shard(source, job).shard
                by_shard.setdefault(shard, []).append((source, job))
        for shard, some in by_shard.items():
            rows = await self._context.store.jobs.read(
                self._context.store.shards[shard], [f"{s}/{j}" for s, j in some]
            )
            self.known.update(zip(some, rows, strict=True))

    async def follow(self, arrivals: Sequence[IncomingUpdate]) -> None:
        """Read the other names of updates whose own name is no job, and what those point to."""
        other = set()
        for update in (a.update for a in arrivals):
            if not self.known[update.source, update.id].version:
                other |= {(update.source, alias) for alias in update.aliases}
        await self.read(other)
        while pointed := {(s, k.alias_of) for (s, _), k in self.known.items() if k.alias_of} - set(
            self.known
        ):
            await self.read(pointed)

    def canonical(self, update: StatusUpdate) -> str | None:
        """The id of the job that an update is about; None when that job was deleted."""
        for name in (update.id, *update.aliases):
            job = self._end(update.source, name)
            known = self.known.get((update.source, job), JobLookup())
            if known.deleted:
                return None
            if known.version or job != name:
                return job
        return update.id

    def _end(self, source: str, name: str) -> str:
        """What a name points to in the end; of names in a circle always the same one."""
        passed: list[str] = []
        while name not in passed:
            passed.append(name)
            name = self.known.get((source, name), JobLookup()).alias_of or name
        return min(passed[passed.index(name) :])
