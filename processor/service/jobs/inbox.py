"""The inbox of ingest: accepts updates durably, once each, whichever way they came."""

from collections.abc import Sequence
from typing import NamedTuple

from processor.model import StatusUpdate
from processor.service.runtime.context import Context
from processor.store.jobs import Bounds
from processor.store.keys import Keys
from processor.store.names import Naming, naming
from processor.store.refusals import Outcome

WORDS = 250  # bytes of an update beside its result


class QueuedUpdate(NamedTuple):
    """An update on its way into ingest, under the name that tells it from others.

    `moved`: what its names stand for has been found out.
    """

    keys: Keys
    push: str
    update: StatusUpdate
    moved: bool = False

    def naming(self) -> Naming:
        """The names to reserve for its job."""
        aliases = () if self.moved else self.update.aliases
        return naming(self.update.source, self.update.id, *aliases)


async def enqueue(
    context: Context, some: Sequence[QueuedUpdate], *, bounded: bool = False
) -> list[Outcome]:
    """Accept updates, a script a shard and piece; False for those seen before.

    Names in several shards are reserved first: a push that is accepted has its job's names.
    Overloaded where they are `bounded`, as pushes are, and all receivers together take too much.
    """
    store = context.store
    fresh: list[Outcome] = [False] * len(some)
    names = [q.naming() for q in some]
    spread = {n for n in names if len(n.names) > 1 and len(n.shards(len(store.shards))) > 1}
    await store.names.reserve(list(spread))
    for shard in {q.keys.shard for q in some}:
        places = [i for i, q in enumerate(some) if q.keys.shard == shard]
        for part in _pieces(some, places, store.memory.piece):
            rows = await store.jobs.accept(
                store.shards[shard],
                [(some[i].push, some[i].update) for i in part],
                [names[i] for i in part if names[i] not in spread],
                await _bounds(context, shard) if bounded else None,
            )
            if rows is None:
                raise store.memory.refused(0)
            for place, new in zip(part, rows, strict=True):
                fresh[place] = new
    return fresh


def _pieces(some: Sequence[QueuedUpdate], places: Sequence[int], size: int) -> list[list[int]]:
    """The places cut into pieces of about so many bytes: arguments of a script are memory too."""
    pieces: list[list[int]] = []
    left = 0
    for place in places:
        if left <= 0:
            pieces.append([])
            left = size
        pieces[-1].append(place)
        left -= len(memoryview(some[place].update.result)) + WORDS
    return pieces


async def _bounds(context: Context, shard: int) -> Bounds:
    router = await context.store.subscriptions.router(context.store.shards[0])
    return Bounds(context.store.memory.ceiling(shard), router.reach)
