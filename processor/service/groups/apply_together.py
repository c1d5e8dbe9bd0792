"""Applies what jobs tell their groups in few commits: what comes while one is made shares the next.

A group of thousands would else be read and written every few milliseconds, its workers would be in
each other's way, and pushes of other jobs would wait for them.
"""

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

from processor.service.groups.member_ends import apply, group_of
from processor.service.runtime.context import Context
from processor.store.group_commit import GroupCommit
from processor.store.work_items import Claim

INTERVAL = 0.05  # seconds after a commit until the next one of the same group
MANY = 100  # entries of a commit after which the next one follows at once
GROUPS = 16  # that are changed at the same time: more delay other work

Key = tuple[int, str]  # the shard of the entries, and their group


class ApplyTogether:
    """The entries of the `?groups` lane that a worker has claimed, by group."""

    def __init__(self, context: Context, interval: float = INTERVAL) -> None:
        self._context = context
        self._interval = interval
        self._commits: WeakValueDictionary[Key, GroupCommit[Claim, None]] = WeakValueDictionary()
        self._free = asyncio.Semaphore(GROUPS)

    async def add(self, claims: Sequence[Claim]) -> None:
        """Take groups through claimed entries, and settle them.

        Raises what stopped one of the groups, once all others are done.
        """
        by_group: dict[Key, list[Claim]] = {}
        for claim in claims:
            by_group.setdefault((claim.shard, group_of(claim)), []).append(claim)
        parts = [self._commit(key).add_all(part) for key, part in by_group.items()]
        for result in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def _commit(self, key: Key) -> GroupCommit[Claim, None]:
        """The one for a group, which lasts while it has entries."""
        return self._commits.setdefault(key, GroupCommit(self._apply))

    async def _apply(self, claims: Sequence[Claim]) -> list[None]:
        async with self._free:
            await apply(self._context, claims)
        if len(claims) < MANY:
            await asyncio.sleep(self._interval)
        return [None] * len(claims)
