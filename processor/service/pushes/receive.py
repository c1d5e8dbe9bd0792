"""Receives a push: verify, read, accept durably in a group commit."""

import asyncio
import hashlib
import time
from operator import attrgetter
from typing import Any

import msgspec
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
    WrongKeyType,
)
from processor.formats import traceparent
from processor.model import Push
from processor.provider import IgnoredPart
from processor.service.jobs.confirmation import without_unproven_names
from processor.service.jobs.inbox import QueuedUpdate, Result, enqueue
from processor.service.pushes.public_keys import PublicKeys
from processor.service.runtime.context import Context
from processor.sizes import IN_THREAD
from processor.store.group_commit import GroupCommit
from processor.store.held import MOST_HELD, Acceptance

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024  # bytes of all pushes that are being accepted
MAX_REASONS = 3  # why parts of one push were ignored
TIMEOUT = 10.0  # seconds for a confirmation; SNS allows fifteen

log = structlog.get_logger()


class Receipt(msgspec.Struct, frozen=True):
    """How many updates of a push were accepted, and the answer to a challenge in it.

    `held` is None if the source holds no pushes.
    """

    accepted: int
    duplicates: int
    ignored_parts: tuple[IgnoredPart, ...] = ()
    unreadable: int = 0
    held: int | None = None
    echo: dict[str, Any] | None = None

    @property
    def counts(self) -> tuple[int, int, int, int, int | None]:
        """How many updates were accepted, duplicates, ignored, unreadable and held."""
        return self.accepted, self.duplicates, len(self.ignored_parts), self.unreadable, self.held

    @property
    def ignored_because(self) -> list[str]:
        """Why parts were ignored, each reason once, and no more than a few."""
        return list(dict.fromkeys(part.text for part in self.ignored_parts))[:MAX_REASONS]


class Receiver:
    """Receives the pushes of one process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._public_keys = PublicKeys(context.egress)
        self._batch: GroupCommit[QueuedUpdate, Result] = GroupCommit(
            lambda updates: enqueue(context, updates, bounded=True),
            attrgetter("size"),
        )
        self._in_flight = 0

    async def refresh(self) -> float:
        """Read the time and the memory of Redis, and check its disk; the seconds until the next time."""
        await self._context.store.connection.synchronise()
        await self._context.store.persistence.check_disk()
        return await self._context.store.memory.refresh_now()

    def source(self, name: str) -> Source:
        """The source of this name, if it accepts pushes; NotFound if not."""
        source = self._context.settings.sources.get(name)
        reason = source.why_no_pushes if source else "there is no such source"
        if source is None or reason:
            raise NotFound(f"Source {name!r} accepts no pushes: [sources.{name}]: {reason}")
        return source

    async def receive(self, source: Source, push: Push) -> Receipt:
        """Verify, read and accept one push.

        RequestError if it is refused, Unavailable if the provider must send it again.
        """
        now, here = await self._context.store.now(), time.time()
        profile, tracer = source.profile, self._context.tracer
        if rule := profile.verify:
            if source.requires_sender:
                _check_sender(rule, source, push)
            if profile.needs_secret and len(push.body) <= IN_THREAD:
                signing.verify(rule, source.keys, push, now, here=here)
            else:
                await self._public_keys.verify(rule, source.keys, push, now, here)
        trace = traceparent(push.headers.get("traceparent"))  # not a stranger's: it is verified
        if not tracer.records:
            return await self._accept(source, push, now, trace)
        with tracer.span("push", trace, int(here * 1e9), source=source.name) as span:
            return await self._accept(source, push, now, span.trace)

    async def _accept(self, source: Source, push: Push, now: float, trace: str | None) -> Receipt:
        """Read and accept a verified push, whose updates belong to `trace`."""
        if len(push.body) <= IN_THREAD:
            parsed, queued = self._read(source, push, now, trace)
        else:  # in a thread, so that other calls can run
            parsed, queued = await asyncio.to_thread(self._read, source, push, now, trace)
        if parsed.confirm:
            await self._confirm(source, parsed.confirm)
        if parsed.errors:
            log.warning("updates_unreadable", source=source.name, reasons=parsed.errors[:3])
        if not queued:
            return _receipt(source, [], parsed)
        store, size, price = self._context.store, len(push.body), 0
        if self._in_flight + size > MAX_IN_FLIGHT_BYTES:
            raise Overloaded("Too many pushes are being written; send this one again")
        self._in_flight += size
        try:
            updates_size = sum([update.size for update in queued])
            price = await store.memory.admit_push(source.name, len(queued), updates_size)
            results = await self._batch.add_all(queued)
            await store.persistence.written(store.persistence.history)
        finally:
            store.memory.written(price)
            self._in_flight -= size
        return _receipt(source, results, parsed)

    def _read(
        self, source: Source, push: Push, now: float, trace: str | None
    ) -> tuple[provider.ParsedPush, list[QueuedUpdate]]:
        """What a push says, and its updates; Unreadable if it is refused."""
        parsed = provider.accept_push(source.profile, source.name, push, now)
        return parsed, self._queued(source, parsed, push, trace)

    async def _confirm(self, source: Source, url: str) -> None:
        """Confirm the subscription to a topic; Unavailable if the provider must ask again."""
        try:
            answer = await self._context.egress.request(
                "GET",
                signing.amazon_url(url),
                headers={},
                scope=NetworkScope.PUBLIC,
                timeout=TIMEOUT,
            )
            reason = "" if answer.status == 200 else f"HTTP {answer.status}"  # noqa: PLR2004 - OK
        except (BlockedTarget, RequestFailed) as error:
            reason = str(error)
        if reason:
            raise Unavailable(f"The subscription cannot be confirmed: {reason}; ask again")
        log.info("subscription_confirmed", source=source.name)

    def _queued(
        self, source: Source, parsed: provider.ParsedPush, push: Push, trace: str | None
    ) -> list[QueuedUpdate]:
        """Updates with their dedupe ids: of the event's id, else of the bytes they were read from."""
        queued, digest, shard = [], "", self._context.store.shard
        for index, update in enumerate(parsed.updates):
            if update.event_id:
                dedupe_id = _digest(update.event_id.encode())
            else:
                digest = digest or _digest(parsed.content)
                dedupe_id = f"{digest}{index}"
            update = without_unproven_names(update, source)  # noqa: PLW2901
            if trace:
                own = traceparent(push.headers.get("traceparent")) is None
                update = replace(update, trace=trace, own_trace=own)  # noqa: PLW2901
            keys = shard(update.source, update.id)
            queued.append(QueuedUpdate(keys, dedupe_id, update, hold=source.holds))
        return queued


def _receipt(source: Source, results: list[Result], parsed: provider.ParsedPush) -> Receipt:
    """What became of the updates of a push, if any; Unavailable if it must be sent again."""
    for result in results:
        if isinstance(result, WrongKeyType):
            raise result
    if Acceptance.FULL in results:
        raise Overloaded(
            f"{source.name} holds no more updates of jobs that nobody has registered: it has "
            f"{MOST_HELD}, or memory is short. PUT the jobs, or send this one again later"
        )
    return Receipt(
        results.count(Acceptance.ACCEPTED),
        results.count(Acceptance.DUPLICATE),
        parsed.ignored_parts,
        len(parsed.errors),
        results.count(Acceptance.HELD) if source.holds else None,
        parsed.echo,
    )


def _check_sender(rule: signing.Verify, source: Source, push: Push) -> None:
    """BadSignature if the sender is unknown: checked first, or it could make us fetch a key."""
    if (sender := signing.sender(rule, push)) not in source.senders:
        raise BadSignature(
            f"it comes from {sender!r}, which is not among the `senders` of the source"
        )


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
