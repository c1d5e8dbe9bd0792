"""Which job an update is about: the one with its id, or the one that it names by an alias.

The canonical id of a job is the first one seen, and never changes. A name that already is a
job is never merged into another: the update says so in its flags (`alias_conflict`).
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from processor.errors import WrongKeyType
from processor.model import Job, Origin, StatusUpdate
from processor.service.jobs.decide import IncomingUpdate, new_job, with_id
from processor.service.jobs.query import locate
from processor.service.runtime.context import Context
from processor.store import job_lookup
from processor.store.held import HoldEnd
from processor.store.job_lookup import JobLookup
from processor.store.keys import Keys
from processor.store.work_items import Claim

Failure = tuple[IncomingUpdate, WrongKeyType]
Name = tuple[str, str]  # source, and id or alias
Unregistered = tuple[IncomingUpdate, Claim, str]  # and the id of its job


class JobUpdates(msgspec.Struct):
    """All incoming updates of one job, and what was stored under its id."""

    source: str
    id: str
    lookup: JobLookup
    updates: list[IncomingUpdate]

    @property
    def name(self) -> str:
        """Its `source/id`."""
        return f"{self.source}/{self.id}"


class Resolved(msgspec.Struct):
    """Updates by job; those for another shard, or for the hold; those without a job; those that
    failed; those whose time in the hold is up.
    """

    by_job: dict[Name, JobUpdates]
    to_move: list[IncomingUpdate]
    dropped: list[IncomingUpdate]
    failures: list[Failure]
    expired: list[IncomingUpdate]

    def add(self, incoming: IncomingUpdate, job: str, lookup: JobLookup) -> None:
        """Add an update to those of its job."""
        name = incoming.update.source, job
        if name in self.by_job:
            self.by_job[name].updates.append(incoming)
        else:
            self.by_job[name] = JobUpdates(*name, lookup, [incoming])


async def resolve(context: Context, keys: Keys, updates: Sequence[IncomingUpdate]) -> Resolved:
    """Sort the updates of one shard by the job that they are about."""
    lookups = _Lookups(context, keys)
    if len(updates) == 1:
        lookups.take_from_claim(updates[0])
    await lookups.read({(u.update.source, u.update.id) for u in updates})
    await lookups.follow(updates)
    resolved = Resolved({}, [], [], [], [])
    unregistered: list[Unregistered] = []
    for incoming in updates:
        update = incoming.update
        job: str | None = update.id
        lookup = lookups.by_name[update.source, update.id]
        if lookup.job and not update.aliases and not lookups.elsewhere:  # as most updates are
            resolved.add(incoming, update.id, lookup)
            continue
        if lookup.job is None and lookup.uid is None:  # this is not the id of a job, or a new one
            job = lookups.canonical(update)
            lookup = lookups.by_name[update.source, job or update.id]
        unknown = lookup.job is None
        if job is None or (unknown and update.origin is Origin.DEADLINE):
            resolved.dropped.append(incoming)
        elif (update.source, job) in lookups.elsewhere:
            resolved.to_move.append(replace(incoming, update=with_id(update, job)))
        elif unknown and incoming.claim and _may_be_held(context, lookup, update):
            unregistered.append((incoming, incoming.claim, job))
        elif job == update.id and not update.aliases:
            resolved.add(incoming, job, lookup)
        else:
            await _add_to_job(context, resolved, lookup, incoming, job)
    if unregistered:
        await _sort_unregistered(context, resolved, lookups, unregistered)
    return resolved


async def _sort_unregistered(
    context: Context,
    resolved: Resolved,
    lookups: "_Lookups",
    updates: Sequence[Unregistered],
) -> None:
    """End the updates that are held; hold those again that were held under another name.

    An update that was accepted makes the job, whoever has registered it: the job was known then.
    """
    ends = await context.store.held.end([(claim, job) for _, claim, job in updates])
    for (incoming, _, job), end in zip(updates, ends, strict=True):
        update = incoming.update
        lookup = lookups.by_name[update.source, job]
        if isinstance(end, WrongKeyType):
            resolved.failures.append((incoming, end))
        elif end is HoldEnd.ENDED:
            resolved.expired.append(incoming)
        elif end is HoldEnd.NOT_HELD and lookup.held:
            resolved.to_move.append(replace(incoming, update=with_id(update, job)))
        elif end is HoldEnd.NOT_HELD:
            await _add_to_job(context, resolved, lookup, incoming, job)


async def _add_to_job(
    context: Context, resolved: Resolved, lookup: JobLookup, incoming: IncomingUpdate, job: str
) -> None:
    """Add an update under the id of its job, once its aliases are written."""
    update = with_id(incoming.update, job)
    try:
        update = await _with_aliases(context, lookup, update)
    except WrongKeyType as error:
        resolved.failures.append((incoming, error))
        return
    resolved.add(replace(incoming, update=update), job, lookup)


async def _with_aliases(context: Context, lookup: JobLookup, update: StatusUpdate) -> StatusUpdate:
    """Write new aliases; the update without those that are another job's already."""
    old = lookup.job.aliases if lookup.job else ()
    new = [a for a in update.aliases if a not in (update.id, *old)]
    if not new:
        return update
    job = lookup.job or new_job(
        context.settings.sources[update.source], update.id, await context.store.now(), ""
    )
    refused = await write_aliases(context, job, new)
    if not refused:
        return update
    kept = tuple(a for a in update.aliases if a not in refused)
    return replace(update, aliases=kept, flags=(*update.flags, "alias_conflict"))


async def write_aliases(context: Context, job: Job, aliases: Iterable[str]) -> list[str]:
    """Make aliases of a job, for as long as it is kept; those that are something else already."""
    return [alias for alias in aliases if not await _write_alias(context, job, alias)]


async def _write_alias(context: Context, job: Job, alias: str) -> bool:
    """Whether a name is an alias of a job now; it may have been one of another alias of the job."""
    jobs, keys = context.store.jobs, context.store.shard(job.source, alias)
    name, ends = f"{job.source}/{alias}", jobs.ends(job)
    if await jobs.alias(keys, name, job.id, ends):
        return True
    if (await locate(context, job.source, alias)).id != job.id:
        return False
    through = (await jobs.find(keys, name)).alias_of
    return await jobs.alias(keys, name, job.id, ends, through=through)


def _may_be_held(context: Context, lookup: JobLookup, update: StatusUpdate) -> bool:
    """Whether a push of an unknown job came out of the hold, and nobody has registered the job."""
    source = context.settings.sources[update.source]
    return source.holds and update.origin is Origin.PUSH and (lookup.held or not lookup.version)


class _Lookups:
    """What is stored under the names in some updates."""

    def __init__(self, context: Context, keys: Keys) -> None:
        self._context = context
        self._keys = keys
        self.by_name: dict[Name, JobLookup] = {}
        self.elsewhere: set[Name] = set()  # those of other shards

    def take_from_claim(self, incoming: IncomingUpdate) -> None:
        """Take what a claim has read of an update's job: once, since it is old after a conflict."""
        claim, name = incoming.claim, (incoming.update.source, incoming.update.id)
        if claim and claim.record is not None and self._context.store.shard(*name) is self._keys:
            self.by_name[name] = job_lookup.lookup(claim.record)
            claim.record = None

    async def read(self, names: set[Name]) -> None:
        """Read names, each in its own shard."""
        store = self._context.store
        by_shard: dict[int, list[Name]] = {}
        for name in names - self.by_name.keys():
            keys = store.shard(*name)
            if keys is not self._keys:
                self.elsewhere.add(name)
            by_shard.setdefault(keys.shard, []).append(name)
        for shard, unread in by_shard.items():
            rows = await store.jobs.read(store.shards[shard], [f"{s}/{j}" for s, j in unread])
            self.by_name.update(zip(unread, rows, strict=True))

    async def follow(self, updates: Sequence[IncomingUpdate]) -> None:
        """Read the aliases of updates whose id is not stored, then the jobs of all aliases."""
        given = [(u.update, alias) for u in updates for alias in u.update.aliases]
        await self.read(
            {(u.source, alias) for u, alias in given if not self.by_name[u.source, u.id].version}
        )
        while unread := self._jobs_of_aliases() - self.by_name.keys():
            await self.read(unread)

    def _jobs_of_aliases(self) -> set[Name]:
        return {(source, k.alias_of) for (source, _), k in self.by_name.items() if k.alias_of}

    def canonical(self, update: StatusUpdate) -> str | None:
        """The id of the job that an update is about; None if that job was deleted."""
        for name in (update.id, *update.aliases):
            job = self._follow_aliases(update.source, name)
            lookup = self.by_name[update.source, job]
            if lookup.deleted:
                return None
            if lookup.version or job != name:
                return job
        return update.id

    def _follow_aliases(self, source: str, name: str) -> str:
        """The id at the end of a chain of aliases; in a circle always the same one of its names."""
        passed: list[str] = []
        while name not in passed:
            alias_of = self.by_name[source, name].alias_of
            if alias_of is None:
                return name
            passed.append(name)
            name = alias_of
        return min(passed[passed.index(name) :])
