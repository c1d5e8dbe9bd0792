"""Delivers events: an attempt for each claimed delivery, then success, retry, or the end (dead letter)."""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog
from msgspec.structs import astuple, replace

from processor import schedule
from processor.errors import WrongKeyType
from processor.event_filters import EventRouter
from processor.model import ARRIVED, Delivery, EndedDelivery, JobOrder, Subscription
from processor.service.delivery.attempt import AttemptResult, Sender
from processor.service.delivery.circuit_breaker import CircuitBreakers
from processor.service.delivery.settle import Settler
from processor.service.events import ordering
from processor.service.runtime.context import Context, random_unit
from processor.service.subscriptions.ids import may_be_new
from processor.service.subscriptions.update import disable
from processor.state_machine import uid_of
from processor.store.change import NewEvent
from processor.store.read_size import PIECE, ReadSize
from processor.store.reseal import has_sealed_secrets
from processor.store.work_items import NOW, Claim, Settlement

PAGE = 200  # bodies read at once, at most
GONE = 410  # the subscriber wants no more events
LATER = 60.0  # seconds until a delivery is tried again whose target or body cannot be read now

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Delivery).decode


class PreparedDelivery(msgspec.Struct, frozen=True):
    """A claimed delivery with everything that an attempt needs."""

    claim: Claim
    delivery: Delivery
    body: bytes | None  # None if the event is no longer kept
    target: Subscription | None  # None if it was removed
    error: WrongKeyType | None = None  # why body or target could not be read


class Deliverer:
    """Makes the deliveries of one process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.breakers = CircuitBreakers(context)
        self._sender = Sender(context, self.breakers)
        self._settler = Settler(context)
        self._read_size = ReadSize(PAGE)

    def in_hand(
        self, claims: Sequence[Claim], events: Sequence[NewEvent], router: EventRouter
    ) -> tuple[list[PreparedDelivery], list[Claim]]:
        """The claimed deliveries of events that were just published, to subscriptions as they were
        then; and the claims of others, which must be read.
        """
        bodies = {event.id: event.body for event in events}
        prepared, unread = [], []
        for claim in claims:
            delivery = _decode(claim.payload)
            body, target = bodies.get(delivery.event_id), router.by_id.get(delivery.target)
            if body is None or target is None:
                unread.append(claim)
            else:
                prepared.append(PreparedDelivery(claim, delivery, body, target))
        return prepared, unread

    async def read(self, claims: Sequence[Claim]) -> list[PreparedDelivery]:
        """Read the bodies and targets of claimed deliveries, all of one shard, as they are now."""
        keys = self._context.store.shards[claims[0].shard]
        deliveries = [_decode(claim.payload) for claim in claims]
        prepared: list[PreparedDelivery] = []
        while len(prepared) < len(claims):
            page = slice(len(prepared), len(prepared) + self._read_size.next(PIECE))
            targets, bodies = await self._context.store.subscriptions.read(
                keys,
                list({d.target for d in deliveries[page]}),
                [d.event_id for d in deliveries[page]],
            )
            self._read_size.learn(len(body) for body in bodies if isinstance(body, bytes))
            prepared += [
                _prepared(claim, delivery, body, targets[delivery.target])
                for claim, delivery, body in zip(
                    claims[page], deliveries[page], bodies, strict=True
                )
            ]
        return prepared

    async def deliver(self, prepared: PreparedDelivery) -> None:
        """Make one attempt, and settle the delivery."""
        delivery, target, body = prepared.delivery, prepared.target, prepared.body
        if prepared.error:
            await self._postpone(prepared, prepared.error)
            return
        if target is None:
            now = await self._context.store.now()
            if may_be_new(delivery.target, delivery.created_at, now):
                pause = schedule.unknown_pause(now - delivery.created_at)
                await self._try_later(prepared.claim, pause)
                return
        if target is None or body is None or target.disabled:
            await self._end(prepared, delivery, "canceled", _undeliverable(target))
            return
        if has_sealed_secrets(target):  # not settled, so it is due again when the lease ends
            self._context.metrics.sealed(target.id)
            return
        if delivery.order and not await self._is_next(prepared, delivery.order):
            return
        result = await self._sender.send(target, delivery, body)
        if result.outdated:  # whatever the old URL wants: the new one was not asked yet
            await self._settler.settle(Settlement(prepared.claim, NOW, prepared.claim.payload))
            return
        delivery = replace(delivery, attempts=(*delivery.attempts, result.attempt))
        await self._finish(prepared, target, delivery, result)

    async def _finish(
        self,
        prepared: PreparedDelivery,
        target: Subscription,
        delivery: Delivery,
        result: AttemptResult,
    ) -> None:
        """Decide by the response: delivered, the end, or a retry."""
        attempt = result.attempt
        outcome = "delivered" if attempt.succeeded else "failed"
        self._context.metrics.attempted(target.id, outcome, attempt.seconds)
        if attempt.succeeded:
            await self._end(prepared, delivery, "delivered")
        elif attempt.status == GONE or result.control == "disable":
            reason = "answered 410" if attempt.status == GONE else "asked for it: webhook-delivery"
            if target.id.startswith("sub_"):
                await disable(self._context, target, reason)
            reason = f"the subscriber wants no more: it {reason}"
            await self._end(prepared, delivery, "failed", reason)
        elif result.control == "abort-message":
            reason = "the subscriber does not want it: it answered webhook-delivery: abort-message"
            await self._end(prepared, delivery, "failed", reason)
        else:
            await self._retry(prepared, delivery, attempt.at + attempt.seconds, result.wait)

    async def _postpone(self, prepared: PreparedDelivery, error: WrongKeyType) -> None:
        """Try a delivery again later whose target or body cannot be read."""
        log.error("delivery_error", delivery=prepared.delivery.id, reason=str(error))
        await self._try_later(prepared.claim, LATER)

    async def _try_later(self, claim: Claim, pause: float) -> None:
        """Have a delivery be due again after so many seconds."""
        later = await self._context.store.now() + pause
        await self._settler.try_once(Settlement(claim, later, claim.payload))

    async def _is_next(self, prepared: PreparedDelivery, order: JobOrder) -> bool:
        """Whether an ordered delivery should be sent now. After a failure, superseded events are
        skipped. Nothing is sent after the lease has expired: another worker may be ahead.
        """
        if await self._expired(prepared):
            return False
        if not prepared.delivery.attempts:
            return True
        keys, target = self._context.store.shards[prepared.claim.shard], prepared.delivery.target
        waiting = await self._context.store.deliveries.in_order(keys, target, order.job)
        old = ordering.superseded(waiting, prepared.delivery)
        await asyncio.gather(*(self._skip(prepared, delivery) for delivery in old[:-1]))
        for delivery in old[-1:]:  # the last one, once no other is before it: it starts the next
            await self._skip(prepared, delivery)
        skipped = {delivery.id for delivery in old}
        return prepared.delivery.id not in skipped and not await self._expired(prepared)

    async def _skip(self, prepared: PreparedDelivery, delivery: Delivery) -> None:
        """End a superseded delivery, under the lease of the one that is due."""
        its = replace(prepared, claim=replace(prepared.claim, item=delivery.id))
        await self._end(its, delivery, "superseded", "a later event of its job took its place")

    async def _expired(self, prepared: PreparedDelivery) -> bool:
        """Whether its lease has ended, unless it was renewed since."""
        return prepared.claim.token <= await self._context.store.now() * 1000

    async def _retry(
        self, prepared: PreparedDelivery, delivery: Delivery, now: float, wait: float | None
    ) -> None:
        """Schedule the next attempt by the retry schedule, or end the delivery after the last."""
        at = schedule.next_attempt(len(delivery.attempts), now, random_unit(), wait)
        if at is None:
            await self._end(prepared, delivery, "failed", "all attempts used up")
            return
        last = delivery.attempts[-1]
        log.info(
            "delivery_failed",
            delivery=delivery.id,
            status=last.status,
            error=last.error,
            attempt=len(delivery.attempts),
            again_in=round(at - now, 1),
        )
        order = delivery.order
        await self._settler.settle(
            Settlement(
                prepared.claim,
                at,
                _encode(delivery),
                failed=True,
                order=order,
                may_be_skipped=order is not None and ordering.may_be_skipped(delivery.type),
            )
        )

    async def _end(
        self, prepared: PreparedDelivery, delivery: Delivery, state: str, reason: str = ""
    ) -> None:
        """Record the end of a delivery; the event's body is deleted with its last delivery."""
        if state not in ARRIVED:
            log.warning("delivery_ended", delivery=delivery.id, state=state, reason=reason)
            self._context.metrics.dead_letter(delivery.target, state)
        record = EndedDelivery(*astuple(delivery), state=state, reason=reason or None)
        order = delivery.order
        if order is None and await self._expired(prepared):  # a replay may have given it an order
            order = JobOrder(uid_of(delivery.event_id), 0)
        await self._settler.settle(
            Settlement(
                prepared.claim,
                event=delivery.event_id,
                target=delivery.target,
                record=_encode(record),
                order=order,
                delivered=state in ARRIVED,
                requires_token=state == "canceled",  # decided by us, not by a response
            )
        )


def _prepared(
    claim: Claim,
    delivery: Delivery,
    body: bytes | WrongKeyType | None,
    target: Subscription | WrongKeyType | None,
) -> PreparedDelivery:
    if isinstance(body, WrongKeyType):
        return PreparedDelivery(claim, delivery, None, None, body)
    if isinstance(target, WrongKeyType):
        return PreparedDelivery(claim, delivery, None, None, target)
    return PreparedDelivery(claim, delivery, body, target)


def _undeliverable(target: Subscription | None) -> str:
    """The reason why no attempt can be made; if the target is fine, the body is missing."""
    if target is None:
        return "no such subscription"
    return "subscription disabled" if target.disabled else "its event is no longer kept"
