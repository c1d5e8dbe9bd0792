"""The inbox of ingest: accepts updates durably and dedupes them (the decision is accept.lua's).

Updates of a source with `track = "registered"` are held there if nobody knows their job.
"""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from processor.errors import WrongKeyType
from processor.model import StatusUpdate
from processor.service.jobs.decide import with_id
from processor.service.runtime.context import Context
from processor.store.held import ALIASES_LAST, Acceptance, Accepted
from processor.store.inbox import Bounds
from processor.store.keys import Keys
from processor.store.names import Naming, naming

UPDATE_OVERHEAD = 250  # bytes of an update beside its result
MAX_HOPS = 3  # from alias to alias, until an update is accepted under the name that it has


class QueuedUpdate(msgspec.Struct, frozen=True):
    """An update for ingest, and its dedupe id.

    `moved`: the job that its names belong to is known already. `hold`: it is held unless its job
    is known.
    """

    keys: Keys
    dedupe_id: str
    update: StatusUpdate
    moved: bool = False
    hold: bool = False

    @property
    def size(self) -> int:
        """About how many bytes of script arguments it needs."""
        return len(memoryview(self.update.result)) + UPDATE_OVERHEAD

    def naming(self) -> Naming:
        """The names to reserve for its job."""
        aliases = () if self.moved else self.update.aliases
        return naming(self.update.source, self.update.id, *aliases, push=self.dedupe_id)


Result = Acceptance | WrongKeyType


async def enqueue(
    context: Context, updates: Sequence[QueuedUpdate], *, bounded: bool = False
) -> list[Result]:
    """Accept updates, with one script call a shard and piece; what became of each.

    Names in several shards are reserved first: an accepted push has the names of its job.
    `bounded`, as pushes are: Overloaded if the pushes of all receivers would need too much memory,
    and no source holds more than it may.
    """
    pending = {i: u for i, u in enumerate(updates) if u.hold and len(u.naming().names) > 1}
    queued = dict(enumerate(updates)) | (await _by_job(context, pending) if pending else {})
    results: dict[int, Result] = {}
    for hop in range(MAX_HOPS):
        rows = await _accept(context, list(queued.values()), bounded=bounded)
        moved: dict[int, QueuedUpdate] = {}
        for (index, update), row in zip(queued.items(), rows, strict=True):
            if isinstance(row, str):  # the name of its job has become an alias
                moved[index] = _under(context, update, row, hold=hop < MAX_HOPS - 2)
            else:
                results[index] = row
        if not moved:
            break
        queued = moved
    return [results[index] for index in range(len(updates))]


async def _by_job(context: Context, updates: dict[int, QueuedUpdate]) -> dict[int, QueuedUpdate]:
    """Updates with several names, each under the id of its job, which gets all that is held."""
    store = context.store
    found = await store.names.hold([u.naming() for u in updates.values()])
    ends = await store.now() + ALIASES_LAST
    by_job: dict[int, QueuedUpdate] = {}
    for (index, queued), names in zip(updates.items(), found, strict=True):
        source = queued.update.source
        for other in names.others:
            with suppress(WrongKeyType):  # it stays held under that name
                keys = store.shard(source, other)
                await store.jobs.alias(keys, f"{source}/{other}", names.id, ends)
        known = replace(queued, hold=False)  # and was deleted: it is ignored when it is ingested
        by_job[index] = _under(context, queued, names.id, hold=True) if names.id else known
    return by_job


def _under(context: Context, queued: QueuedUpdate, job: str, *, hold: bool) -> QueuedUpdate:
    """An update under the id of its job."""
    update = with_id(queued.update, job)
    keys = context.store.shard(update.source, job)
    return replace(queued, keys=keys, update=update, moved=True, hold=hold)


async def _accept(
    context: Context, updates: Sequence[QueuedUpdate], *, bounded: bool
) -> list[Accepted]:
    """Accept updates where they are; a text is the id under which to accept one instead."""
    store = context.store
    outcomes: list[Accepted] = [Acceptance.DUPLICATE] * len(updates)
    spread: dict[Naming, None] = {}  # over several shards, in the order in which they came
    if len(store.shards) > 1:
        names = [u.naming() for u in updates if not u.hold]
        several = [n for n in names if len(n.names) > 1]
        spread = dict.fromkeys(n for n in several if len(n.shards(len(store.shards))) > 1)
        await store.names.reserve(list(spread))
    for shard in {u.keys.shard for u in updates}:
        sizes = {i: u.size for i, u in enumerate(updates) if u.keys.shard == shard}
        for piece in store.memory.in_pieces(sizes):
            chosen = [updates[i] for i in piece]
            rows = await store.inbox.accept(
                store.shards[shard],
                [(u.dedupe_id, u.update) for u in chosen],
                [n for u in chosen if not u.hold and (n := u.naming()) not in spread],
                await _bounds(context, shard) if bounded else None,
                {place for place, u in enumerate(chosen) if u.hold},
            )
            if rows is None:
                raise store.memory.refused(0)
            for index, row in zip(piece, rows, strict=True):
                outcomes[index] = row
    return outcomes


async def _bounds(context: Context, shard: int) -> Bounds:
    router = await context.store.subscriptions.router(context.store.shards[0])
    memory = context.store.memory
    return Bounds(memory.ceiling(shard), router.fan_out, memory.may_hold)
