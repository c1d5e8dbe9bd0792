"""How well those who are sent to take it: one number of distrust a lane, shared by all workers."""

from typing import Literal, NamedTuple

from processor.store.connection import Connection
from processor.store.keys import Keys

AttemptOutcome = Literal["ok", "unavailable", "refused"]
REMEMBERED = 30 * 86_400.0  # seconds; callback hosts come and go


class SubscriberHealth(NamedTuple):
    """How a lane is doing."""

    failure_score: int = 0  # halves with each success
    since: float = 0.0  # seconds: the first failure since the last success
    failures: int = 0  # since then


class FailureScores:
    """The standing of every lane of `deliver` that is not simply well, in one shard for all."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        """Know nothing bad of anybody."""
        self._connection = connection
        self._key = keys.failure_scores

    async def record(
        self, lane: str, how: AttemptOutcome, most: int, began: float
    ) -> SubscriberHealth:
        """Count an attempt that began then (seconds); how the lane now stands."""
        args: list[str | float] = [lane, how, most, int(began * 1000), int(REMEMBERED * 1000)]
        row = await self._connection.run("record_attempt", [self._key], args)
        return SubscriberHealth(row[0], row[1] / 1000, row[2])

    async def all(self, now: float) -> dict[str, SubscriberHealth]:
        """Every lane that is not simply well; what was last well long ago is forgotten."""
        rows = await self._connection.ask(self._connection.redis.hgetall(self._key))
        found = {lane.decode(): _read_health(text) for lane, text in rows.items()}
        old = [lane for lane, one in found.items() if one.since and now - one.since > REMEMBERED]
        if old:
            await self._connection.ask(self._connection.redis.hdel(self._key, *old))
        return {lane: one for lane, one in found.items() if lane not in old}

    async def forget(self, lane: str) -> None:
        """Let a lane begin anew."""
        await self._connection.ask(self._connection.redis.hdel(self._key, lane))


def _read_health(text: bytes) -> SubscriberHealth:
    failure_score, since, failures, _ = map(int, text.split())
    return SubscriberHealth(failure_score, since / 1000, failures)
