"""The last failed poll of each source, for operators: written at most once a second by a process."""

import time

import msgspec

from processor.store.connection import Connection
from processor.store.keys import POLL_ERRORS

MIN_INTERVAL = 1.0  # seconds between two notes about a source
SHOWN = 3600  # seconds

_encode = msgspec.json.Encoder().encode


class PollError(msgspec.Struct, frozen=True):
    """A failed poll: when, of which job, and why (without secrets)."""

    at: float
    job: str
    error: str


_decode = msgspec.json.Decoder(PollError).decode


class PollErrors:
    """The last ones of all sources."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._noted: dict[str, float] = {}  # source → when, on the monotonic clock

    async def note(self, source: str, found: PollError) -> None:
        """Note a failed poll, unless one of this source was noted a moment ago."""
        now = time.monotonic()
        if now - self._noted.get(source, float("-inf")) < MIN_INTERVAL:
            return
        self._noted[source] = now
        pipe = self._connection.redis.pipeline(transaction=False)
        pipe.hset(POLL_ERRORS, source, _encode(found))
        pipe.expire(POLL_ERRORS, SHOWN)
        await self._connection.ask(pipe.execute())

    async def read(self, now: float) -> dict[str, PollError]:
        """The last failed poll of each source that had one within the hour."""
        rows = await self._connection.ask(self._connection.redis.hgetall(POLL_ERRORS))
        found = {source.decode(): _decode(row) for source, row in rows.items()}
        return {source: error for source, error in found.items() if error.at > now - SHOWN}
