"""Every shard has all subscriptions: they are written to each, and copied where one was left out."""

from collections.abc import Sequence

from processor.errors import StoreUnavailable
from processor.store.connection import Connection
from processor.store.keys import Keys
from processor.store.versions import NONE, new_version


class SubscriptionCopies:
    """The stored subscriptions of all shards. The first shard decides which ones exist."""

    def __init__(self, connection: Connection, shards: Sequence[Keys]) -> None:
        self._connection = connection
        self._shards = shards
        self.forget()

    def forget(self) -> None:
        """Forget what the last check found: Redis or its data was replaced."""
        self._agreed: list[str] = []  # versions of the shards when all had the same
        self._differed: set[str] = set()  # subscriptions, at the last check

    async def write(self, target: str, doc: bytes) -> None:
        """Write a subscription to every shard.

        The first shard is written last: a call that was cut short has created nothing.
        """
        for keys in reversed(self._shards):
            await self._write(keys, target, doc)
        await self.copy(target)

    async def remove(self, target: str) -> bool:
        """Remove a subscription from every shard; False if no shard had it.

        All shards are tried, even if one is unavailable; StoreUnavailable then says to try again.
        The first shard comes first: a change at the same time copies what is there to the others.
        """
        found, failure = False, None
        for keys in self._shards:
            try:
                found = await self._remove(keys, target) or found
            except StoreUnavailable as error:
                failure = error
        if failure:
            raise failure
        return found

    async def copy(self, target: str) -> None:
        """Copy a subscription from the first shard to the others; repeat if it changes."""
        first, *others = self._shards
        doc = await self._doc(first, target) if others else None
        while others:
            was = doc
            for keys in others:
                if await self._doc(keys, target) != doc:
                    await self._write(keys, target, doc)
            doc = await self._doc(first, target)
            if doc == was:
                return

    async def repair(self) -> list[str]:
        """Copy subscriptions that another process left different between shards; returns their ids.

        A difference may be a change that is still being made: it is repaired if the next check,
        some seconds later, finds it again.
        """
        if len(self._shards) == 1:
            return []
        versions = await self._versions()
        if versions == self._agreed:
            return []
        differing = await self._differing()
        left = sorted(differing & self._differed)
        for target in left:
            await self.copy(target)
        self._differed = differing - set(left)
        self._agreed = [] if differing else versions
        return left

    async def _write(self, keys: Keys, target: str, doc: bytes | None) -> None:
        """Write, or remove, a subscription in one shard."""
        if doc is None:
            await self._remove(keys, target)
            return
        names = [keys.subs, keys.subs_version]
        await self._connection.run("subscribe", names, [target, doc, new_version()])

    async def _remove(self, keys: Keys, target: str) -> bool:
        names = [keys.paused["deliver"], keys.rate_limit["deliver"], keys.overflow]
        names = [keys.subs, keys.subs_version, *names]
        return bool(await self._connection.run("unsubscribe", names, [target, new_version()]))

    async def _doc(self, keys: Keys, target: str) -> bytes | None:
        command = self._connection.redis.hget(keys.subs, target)
        found: bytes | None = await self._connection.ask(command)
        return found

    async def _versions(self) -> list[str]:
        commands = [self._connection.redis.get(keys.subs_version) for keys in self._shards]
        return [subs_version(await self._connection.ask(command)) for command in commands]

    async def _differing(self) -> set[str]:
        """The ids of subscriptions that differ between the first shard and another one."""
        commands = [self._connection.redis.hgetall(keys.subs) for keys in self._shards]
        first, *others = [await self._connection.ask(command) for command in commands]
        rows = {row for docs in others for row in docs.items() ^ first.items()}
        return {target.decode() for target, _ in rows}


def subs_version(stored: bytes | None) -> str:
    """The version of a shard's subscriptions; it changes with each of them."""
    return stored.decode() if stored else NONE
