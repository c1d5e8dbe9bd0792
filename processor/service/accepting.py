"""A push, from bytes to durable: verify, read, accept in one group commit."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from processor import provider, signing
from processor.config import Source
from processor.errors import NotFound, StoreAway
from processor.model import StatusUpdate
from processor.service.batching import Batch
from processor.service.context import Context
from processor.store.keys import Keys
from processor.store.store import FULL

BODIES_AT_MOST = 64 * 1024 * 1024  # bytes of pushes between arrival and acceptance
LOOK_EVERY = 1.0  # seconds between looks at Redis' memory


class Receipt(NamedTuple):
    """What became of the updates in one push."""

    accepted: int
    duplicates: int
    ignored: int


class Queued(NamedTuple):
    """An update on its way into ingest, under the name that tells it from others."""

    keys: Keys
    push: str
    update: StatusUpdate


class Receiver:
    """Takes the pushes of one process."""

    def __init__(self, context: Context) -> None:
        """Start with nothing in flight."""
        self._context = context
        self._batch: Batch[Queued, bool] = Batch(lambda some: queue(context, some))
        self._in_flight = 0
        self._full = False

    async def look(self) -> float:
        """Keep time with Redis, and see whether it has memory for more; how long to wait."""
        await self._context.store.connection.synchronise()
        self._full = await self._context.store.fullness() > FULL
        return LOOK_EVERY

    def source(self, name: str) -> Source:
        """The source that takes pushes under this name; NotFound if none does."""
        source = self._context.settings.sources.get(name)
        if source is None or not source.takes_pushes:
            raise NotFound(
                f"No source {name!r} takes pushes: it needs a [sources.{name}] whose provider "
                "pushes, with its webhook_secret"
            )
        return source

    async def take(self, source: Source, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Verify, read and accept one push; Refused, or StoreAway when it must come again."""
        now = await self._context.store.now()
        verify(source, headers, body, now)
        reading = provider.read_push(source.profile, source.name, headers, body, now)
        if not reading.updates:
            return Receipt(0, 0, reading.ignored)
        if self._full:
            raise StoreAway("Redis is nearly full; send this push again")
        if self._in_flight + len(body) > BODIES_AT_MOST:
            raise StoreAway("Too many pushes are being written; send this one again")
        self._in_flight += len(body)
        try:
            new = [await done for done in [self._batch.add(q) for q in self._named(reading, body)]]
        finally:
            self._in_flight -= len(body)
        return Receipt(sum(new), len(new) - sum(new), reading.ignored)

    def _named(self, reading: provider.Reading, body: bytes) -> list[Queued]:
        """Each update under its event's id, else under the digest of the bytes it came in."""
        digest = "" if all(u.event_id for u in reading.updates) else _digest(body)
        return [
            Queued(
                self._context.store.shard(update.source, update.id),
                _digest(update.event_id.encode()) if update.event_id else f"{digest}{place}",
                update,
            )
            for place, update in enumerate(reading.updates)
        ]


def verify(source: Source, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """BadSignature unless one of the source's secrets signed this push, or none is needed."""
    rule = source.profile.push and source.profile.push.verify
    if rule:
        signing.verify(rule, source.keys, headers, body, now)


async def queue(context: Context, some: Sequence[Queued]) -> list[bool]:
    """Accept updates, one script a shard; False for those seen before."""
    fresh = [False] * len(some)
    for shard in {q.keys.shard for q in some}:
        places = [i for i, q in enumerate(some) if q.keys.shard == shard]
        rows = await context.store.jobs.accept(
            context.store.shards[shard], [(some[i].push, some[i].update) for i in places]
        )
        for place, new in zip(places, rows, strict=True):
            fresh[place] = new
    return fresh


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
