"""The inbox of ingest: accepts updates durably and dedupes them (the decision is accept.lua's)."""

from collections.abc import Sequence
from typing import NamedTuple

from processor.model import StatusUpdate
from processor.service.runtime.context import Context
from processor.store.jobs import Bounds
from processor.store.keys import Keys
from processor.store.names import Naming, naming
from processor.store.refusals import Outcome

UPDATE_OVERHEAD = 250  # bytes of an update beside its result


class QueuedUpdate(NamedTuple):
    """An update for ingest, and its dedupe id.

    `moved`: the job that its names belong to is known already.
    """

    keys: Keys
    dedupe_id: str
    update: StatusUpdate
    moved: bool = False

    def naming(self) -> Naming:
        """The names to reserve for its job."""
        aliases = () if self.moved else self.update.aliases
        return naming(self.update.source, self.update.id, *aliases)


async def enqueue(
    context: Context, updates: Sequence[QueuedUpdate], *, bounded: bool = False
) -> list[Outcome]:
    """Accept updates, with one script call a shard and piece; False for those seen before.

    Names in several shards are reserved first: an accepted push has the names of its job.
    `bounded`, as pushes are: Overloaded if the pushes of all receivers would need too much memory.
    """
    store = context.store
    outcomes: list[Outcome] = [False] * len(updates)
    names = [u.naming() for u in updates]
    spread = {n for n in names if len(n.names) > 1 and len(n.shards(len(store.shards))) > 1}
    if spread:
        await store.names.reserve(list(spread))
    for shard in {u.keys.shard for u in updates}:
        sizes = {i: size_of(u.update) for i, u in enumerate(updates) if u.keys.shard == shard}
        for piece in store.memory.in_pieces(sizes):
            rows = await store.jobs.accept(
                store.shards[shard],
                [(updates[i].dedupe_id, updates[i].update) for i in piece],
                [names[i] for i in piece if names[i] not in spread],
                await _bounds(context, shard) if bounded else None,
            )
            if rows is None:
                raise store.memory.refused(0)
            for index, row in zip(piece, rows, strict=True):
                outcomes[index] = row
    return outcomes


def size_of(update: StatusUpdate) -> int:
    """About how many bytes of script arguments an update needs."""
    return len(memoryview(update.result)) + UPDATE_OVERHEAD


async def _bounds(context: Context, shard: int) -> Bounds:
    router = await context.store.subscriptions.router(context.store.shards[0])
    return Bounds(context.store.memory.ceiling(shard), router.fan_out)
