"""Subscriber health: one failure score per delivery lane, shared by all workers."""

from typing import Literal, NamedTuple

from processor.store.connection import Connection
from processor.store.keys import Keys

AttemptOutcome = Literal["ok", "unavailable", "refused"]
REMEMBERED = 30 * 86_400.0  # seconds; some callback hosts are used only once


class SubscriberHealth(NamedTuple):
    """The health of a lane."""

    failure_score: int = 0  # halves with each success
    since: float = 0.0  # seconds: the first failure since the last success
    failures: int = 0  # since then


class FailureScores:
    """The health of every lane of `deliver` that has failed lately; one shard has that of all."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._key = keys.failure_scores

    async def record(
        self, lane: str, outcome: AttemptOutcome, highest: int, began: float
    ) -> tuple[SubscriberHealth, bool]:
        """Count an attempt that began at a time (seconds), unless it ran beside a counted failure.

        Returns the health of the lane now, and whether the attempt was counted.
        """
        lasts = int(REMEMBERED * 1000)
        args: list[str | float] = [lane, outcome, highest, int(began * 1000), lasts]
        row = await self._connection.run("record_attempt", [self._key], args)
        return SubscriberHealth(row[0], row[1] / 1000, row[2]), bool(row[3])

    async def all(self, now: float) -> dict[str, SubscriberHealth]:
        """Every lane that has failed lately; forgets lanes that began to fail long ago."""
        rows = await self._connection.ask(self._connection.redis.hgetall(self._key))
        found = {lane.decode(): _read_health(text) for lane, text in rows.items()}
        old = [lane for lane, h in found.items() if h.since and now - h.since > REMEMBERED]
        if old:
            await self._connection.ask(self._connection.redis.hdel(self._key, *old))
        return {lane: health for lane, health in found.items() if lane not in old}

    async def forget(self, lane: str) -> None:
        """Forget the failures of a lane."""
        await self._connection.ask(self._connection.redis.hdel(self._key, lane))


def _read_health(text: bytes) -> SubscriberHealth:
    failure_score, since, failures, _ = map(int, text.split())
    return SubscriberHealth(failure_score, since / 1000, failures)
