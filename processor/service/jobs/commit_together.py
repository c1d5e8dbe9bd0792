"""Commits answers of polls together: those that come while one commit is in flight share the next."""

from collections.abc import Sequence
from functools import partial

from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.runtime.context import Context
from processor.store.group_commit import GroupCommit
from processor.store.keys import Keys


class CommitTogether:
    """The `committer` of a worker's context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._commits: dict[int, GroupCommit[IncomingUpdate, None]] = {
            keys.shard: GroupCommit(partial(self._advance, keys)) for keys in context.store.shards
        }

    async def add(self, keys: Keys, incoming: IncomingUpdate) -> None:
        """Take a job through a claimed update with the next commit of its shard."""
        await self._commits[keys.shard].add(incoming)

    async def _advance(self, keys: Keys, updates: Sequence[IncomingUpdate]) -> list[None]:
        await advance(self._context, keys, updates)
        return [None] * len(updates)


async def advance_one(context: Context, keys: Keys, incoming: IncomingUpdate) -> None:
    """Take a job through a claimed update, together with others if the context can."""
    if context.committer:
        await context.committer.add(keys, incoming)
    else:
        await advance(context, keys, [incoming])
