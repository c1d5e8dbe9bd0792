"""The sources whose token the provider refuses, and why; until it accepts the token again."""

import time

from processor.store.connection import Connection
from processor.store.keys import STALLED

MAX_AGE = 5.0  # seconds; shorter than the pause of a source whose token is refused


class StalledSources:
    """The stalled ones of all sources."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: frozenset[str] = frozenset()
        self._read_at = float("-inf")  # on the monotonic clock

    def forget(self) -> None:
        """Forget which ones are stalled: Redis or its data was replaced."""
        self._read_at = float("-inf")

    async def note(self, source: str, reason: str) -> None:
        """Note why the provider refuses a source's token."""
        await self._connection.ask(self._connection.redis.hset(STALLED, source, reason))
        self._known |= {source}

    async def clear(self, source: str) -> None:
        """Note that the provider accepts a source's token.

        Most sources are not stalled, so the list of those that are may be `MAX_AGE` old.
        """
        if time.monotonic() - self._read_at > MAX_AGE:
            await self.read()
        if source in self._known:
            await self._connection.ask(self._connection.redis.hdel(STALLED, source))
            self._known -= {source}

    async def read(self) -> dict[str, str]:
        """The reasons, by source."""
        found = await self._connection.ask(self._connection.redis.hgetall(STALLED))
        reasons = {source.decode(): reason.decode() for source, reason in found.items()}
        self._known, self._read_at = frozenset(reasons), time.monotonic()
        return reasons
