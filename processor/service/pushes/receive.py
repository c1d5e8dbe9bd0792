"""A push, from bytes to durable: verify, read, accept in one group commit."""

import asyncio
import hashlib
import time
from typing import Any, NamedTuple

import structlog
from msgspec.structs import replace

from processor import provider, signing
from processor.config import Source
from processor.egress import NetworkScope
from processor.errors import (
    BadSignature,
    BlockedTarget,
    NotFound,
    Overloaded,
    RequestFailed,
    Unavailable,
    Unreadable,
)
from processor.formats import traceparent
from processor.model import Push
from processor.service.jobs.inbox import UPDATE_OVERHEAD, QueuedUpdate, enqueue
from processor.service.pushes.public_keys import LARGE_PUSH, PublicKeys
from processor.service.runtime.context import Context
from processor.store.group_commit import GroupCommit
from processor.store.refusals import Outcome, outcomes
from processor.store.reserve import update_price

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024  # bytes of pushes between arrival and acceptance
TIMEOUT = 10.0  # seconds for a confirmation; SNS gives us fifteen

log = structlog.get_logger()


class Receipt(NamedTuple):
    """What became of the updates in one push, and what a challenge is answered with."""

    accepted: int
    duplicates: int
    ignored: int
    unreadable: int = 0
    echo: dict[str, Any] | None = None


class Receiver:
    """Takes the pushes of one process."""

    def __init__(self, context: Context) -> None:
        """Start with nothing in flight."""
        self._context = context
        self._keyring = PublicKeys(context.egress)
        self._batch: GroupCommit[QueuedUpdate, Outcome] = GroupCommit(
            lambda some: enqueue(context, some, bounded=True),
            lambda one: len(memoryview(one.update.result)),
        )
        self._in_flight = 0

    async def look(self) -> float:
        """Keep time with Redis, and see whether it has memory for more; how long to wait."""
        await self._context.store.connection.synchronise()
        await self._context.store.persistence.look()
        return await self._context.store.memory.look()

    def source(self, name: str) -> Source:
        """The source that takes pushes under this name; NotFound if none does."""
        source = self._context.settings.sources.get(name)
        why = "there is no such source" if source is None else source.why_no_pushes
        if source is None or why:
            raise NotFound(f"No source {name!r} takes pushes: [sources.{name}]: {why}")
        return source

    async def take(self, source: Source, push: Push) -> Receipt:
        """Verify, read and accept one push; RequestError, or Unavailable when it must come again."""
        now = await self._context.store.now()
        await self._verify(source, push, now)
        reading, named = await self._read(source, push, now)
        if reading.confirm:
            await self._confirm(source, reading.confirm)
        if reading.errors:
            log.warning("updates_unreadable", source=source.name, reasons=reading.errors[:3])
        if not reading.updates:
            return Receipt(0, 0, reading.ignored, len(reading.errors), reading.echo)
        body, memory = push.body, self._context.store.memory
        if self._in_flight + len(body) > MAX_IN_FLIGHT_BYTES:
            raise Overloaded("Too many pushes are being written; send this one again")
        self._in_flight += len(body)
        try:
            async with memory.admitted(await self._price(source, reading)):
                new = outcomes(await self._batch.add_all(named))
                await self._context.store.persistence.noted()
        finally:
            self._in_flight -= len(body)
        return Receipt(sum(new), len(new) - sum(new), reading.ignored, len(reading.errors))

    async def _price(self, source: Source, reading: provider.ParsedPush) -> int:
        """What a push takes of Redis' memory until it is worked off, about."""
        updates = reading.updates
        size = sum(len(memoryview(u.result)) + UPDATE_OVERHEAD for u in updates)
        fan_out = await self._context.store.memory.fan_out(source.name)
        return update_price(len(updates), size, fan_out)

    async def _verify(self, source: Source, push: Push, now: float) -> None:
        """BadSignature unless a sender of the source's signed this push, or none is needed.

        The sender comes first: for a stranger no key is fetched.
        """
        rule = source.profile.verify
        if rule is None:
            return
        if source.requires_sender and (sender := signing.sender(rule, push)) not in source.senders:
            raise BadSignature(
                f"it comes from {sender!r}, which is not among the `senders` of the source"
            )
        await self._keyring.verify(rule, source.keys, push, now, time.time())

    async def _read(
        self, source: Source, push: Push, now: float
    ) -> tuple[provider.ParsedPush, list[QueuedUpdate]]:
        """What a push says; of a large one in a thread, so that others are answered meanwhile."""

        def read() -> tuple[provider.ParsedPush, list[QueuedUpdate]]:
            reading = _reading(source, push, now)
            return reading, self._named(reading, push)

        return read() if len(push.body) <= LARGE_PUSH else await asyncio.to_thread(read)

    async def _confirm(self, source: Source, url: str) -> None:
        """Tell a topic that we take its messages; Unavailable when it must ask again."""
        try:
            answer = await self._context.egress.request(
                "GET",
                signing.amazon_url(url),
                headers={},
                scope=NetworkScope.PUBLIC,
                timeout=TIMEOUT,
            )
            why = "" if answer.status == 200 else f"HTTP {answer.status}"  # noqa: PLR2004 - OK
        except (BlockedTarget, RequestFailed) as error:
            why = str(error)
        if why:
            raise Unavailable(f"The subscription cannot be confirmed: {why}; ask again")
        log.info("subscription_confirmed", source=source.name)

    def _named(self, reading: provider.ParsedPush, push: Push) -> list[QueuedUpdate]:
        """Each update under its event's id, else under the digest of what it was read from."""
        digest = "" if all(u.event_id for u in reading.updates) else _digest(reading.content)
        trace = traceparent(push.headers.get("traceparent"))
        return [
            QueuedUpdate(
                self._context.store.shard(update.source, update.id),
                _digest(update.event_id.encode()) if update.event_id else f"{digest}{place}",
                replace(update, trace=trace) if trace else update,
            )
            for place, update in enumerate(reading.updates)
        ]


def _reading(source: Source, push: Push, now: float) -> provider.ParsedPush:
    """Read a genuine push; where the provider forgives no refusal, one unreadable is a fault of it."""
    try:
        return provider.read_push(source.profile, source.name, push, now)
    except Unreadable as error:
        if source.profile.push is None or not source.profile.push.lenient:
            raise
        return provider.ParsedPush((), 0, errors=(str(error),))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
