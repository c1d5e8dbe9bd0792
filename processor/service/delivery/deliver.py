"""The `deliver` backlog: post an event to its subscriber, record how that went."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from processor import schedule
from processor.egress import NetworkScope
from processor.errors import BlockedTarget, RequestFailed, Unavailable, WrongKeyType
from processor.formats import BATCH, FORMATS, Event
from processor.http_time import parse_retry_after
from processor.model import ARRIVED, Attempt, Delivery, JobOrder, Subscription
from processor.service.delivery.batch import Batcher
from processor.service.delivery.circuit_breaker import CircuitBreakers
from processor.service.events import ordering
from processor.service.runtime.context import Context, random_unit
from processor.service.runtime.outage import RETRY_INTERVAL
from processor.service.subscriptions.update import disable
from processor.state_machine import uid_of
from processor.store.group_commit import GroupCommit
from processor.store.read_size import PIECE, ReadSize
from processor.store.refusals import Outcome
from processor.store.reseal import unopened
from processor.store.work_items import Claim, Settlement

PAGE = 200  # bodies read at once, at most
TIMEOUT = 15.0  # seconds for a subscriber's answer
GONE = 410  # the subscriber's word for "never again"
LATER = 60.0  # seconds until a delivery is tried again whose target or body cannot be read
TOO_LARGE = 413  # of a batch: it is sent again in halves

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Delivery).decode


class PreparedDelivery(msgspec.Struct, frozen=True):
    """A claimed delivery with all that it takes to make it."""

    claim: Claim
    delivery: Delivery
    body: bytes | None
    target: Subscription | None
    wrong: WrongKeyType | None = None


class AttemptResult(NamedTuple):
    """An attempt, and for how many seconds the subscriber asked us to wait before the next."""

    attempt: Attempt
    wait: float | None = None
    control: str = ""  # the answer's `webhook-delivery` header: `disable` or `abort-message`


class Deliverer:
    """Makes the deliveries of one process."""

    def __init__(self, context: Context) -> None:
        """Settle in batches of what ended at the same time."""
        self._context = context
        self.breakers = CircuitBreakers(context)
        self._batcher: Batcher[AttemptResult] = Batcher(self._post_batch)
        self._read_size = ReadSize(PAGE)
        self._settle: GroupCommit[Settlement, Outcome] = GroupCommit(self._settle_all)

    async def read(self, claims: Sequence[Claim]) -> list[PreparedDelivery]:
        """What claimed deliveries of one shard say, and to whom: read fresh."""
        keys = self._context.store.shards[claims[0].shard]
        deliveries = [_decode(c.payload) for c in claims]
        posts: list[PreparedDelivery] = []
        while len(posts) < len(claims):
            some = slice(len(posts), len(posts) + self._read_size.next(PIECE))
            known, bodies = await self._context.store.subscriptions.read(
                keys,
                list({d.target for d in deliveries[some]}),
                [d.event_id for d in deliveries[some]],
            )
            self._read_size.saw(len(body) for body in bodies if isinstance(body, bytes))
            posts += [
                _post(claim, delivery, body, known[delivery.target])
                for claim, delivery, body in zip(
                    claims[some], deliveries[some], bodies, strict=True
                )
            ]
        return posts

    async def deliver(self, post: PreparedDelivery) -> None:
        """Make one attempt, and settle it."""
        if post.wrong:
            await self._put_off(post, post.wrong)
            return
        if post.target is None or post.body is None or post.target.disabled:
            await self._end(post, post.delivery, "canceled", _undeliverable(post.target))
            return
        if unopened(post.target):  # with nothing settled it is due again when the lease ends
            self._context.metrics.attempts.labels("sealed").inc()
            return
        if post.delivery.order and not await self._is_next(post, post.delivery.order):
            return
        made = await self._attempt(post.target, post.delivery, post.body)
        attempt = made.attempt
        delivery = replace(post.delivery, attempts=(*post.delivery.attempts, attempt))
        ok = attempt.status is not None and attempt.status // 100 == 2  # noqa: PLR2004 -- HTTP's success
        self._context.metrics.attempted("delivered" if ok else "failed", attempt.seconds)
        if ok:
            await self._end(post, delivery, "delivered")
        elif attempt.status == GONE or made.control == "disable":
            reason = "answered 410" if attempt.status == GONE else "asked for it: webhook-delivery"
            await self._disable(post.target, reason)
            await self._end(post, delivery, "failed", f"the subscriber wants no more: it {reason}")
        elif made.control == "abort-message":
            reason = (
                "the subscriber wants no more of it: it answered webhook-delivery: abort-message"
            )
            await self._end(post, delivery, "failed", reason)
        else:
            await self._again(post, delivery, attempt.at + attempt.seconds, made.wait)

    async def _put_off(self, post: PreparedDelivery, wrong: WrongKeyType) -> None:
        """Try a delivery again later whose target or body cannot be read."""
        log.error("delivery_error", delivery=post.delivery.id, reason=str(wrong))
        later = await self._context.store.now() + LATER
        await self._settle.add(Settlement(post.claim, later, post.claim.payload))

    async def _is_next(self, post: PreparedDelivery, order: JobOrder) -> bool:
        """Whether it is to be sent. Once one has failed, what is news no more is left out.

        Nor is it sent when the lease is over: by now others may be at later ones.
        """
        if await self._late(post):
            return False
        if not post.delivery.attempts:
            return True
        keys, target = self._context.store.shards[post.claim.shard], post.delivery.target
        waiting = await self._context.store.deliveries.in_order(keys, target, order.job)
        old = ordering.superseded(waiting, post.delivery)
        await asyncio.gather(*(self._superseded(post, one) for one in old[:-1]))
        for one in old[-1:]:  # the last one hands its turn on, when there is nobody between
            await self._superseded(post, one)
        return all(one.id != post.delivery.id for one in old) and not await self._late(post)

    async def _superseded(self, post: PreparedDelivery, one: Delivery) -> None:
        its = replace(post, claim=replace(post.claim, item=one.id))
        await self._end(its, one, "superseded", "a later event of its job took its place")

    async def _late(self, post: PreparedDelivery) -> bool:
        """Whether its lease is over, as far as we know."""
        return post.claim.token <= await self._context.store.now() * 1000

    async def _attempt(
        self, target: Subscription, delivery: Delivery, body: bytes
    ) -> AttemptResult:
        """Post once, alone or with what else this subscriber is to get now."""
        event = Event(delivery.event_id, body, delivery.trace)
        if target.format == BATCH:
            return await self._batcher.add(target, event)
        return await self._post(target, [event])

    async def _post_batch(
        self, target: Subscription, events: Sequence[Event]
    ) -> list[AttemptResult]:
        """Post events together; in halves where that is too much at once."""
        made = await self._post(target, events)
        if made.attempt.status != TOO_LARGE or len(events) == 1:
            return [made for _ in events]
        half = len(events) // 2
        parts = await asyncio.gather(
            self._post_batch(target, events[:half]), self._post_batch(target, events[half:])
        )
        return [one for per_shard in parts for one in per_shard]

    async def _post(self, target: Subscription, events: Sequence[Event]) -> AttemptResult:
        """Post one request, and note how its subscriber took it."""
        made = await self._posted(target, events)
        await self.breakers.record(target, made.attempt, made.wait)
        return made

    async def _posted(self, target: Subscription, events: Sequence[Event]) -> AttemptResult:
        at = await self._context.store.now()
        headers, body = FORMATS[target.format](events, target, at)
        try:
            answer = await self._context.egress.request(
                "POST",
                target.url,
                headers=headers,
                body=body,
                scope=NetworkScope.CONFIGURED if target.static else NetworkScope.PUBLIC,
                timeout=TIMEOUT,
                body_wanted=False,
            )
        except (BlockedTarget, RequestFailed) as error:
            took = await self._context.store.now() - at
            return AttemptResult(Attempt(at=at, seconds=took, error=str(error)))
        wait = parse_retry_after(answer.headers.get("retry-after"), at + answer.seconds)
        control = answer.headers.get("webhook-delivery", "").strip().lower()
        return AttemptResult(
            Attempt(at=at, seconds=answer.seconds, status=answer.status), wait, control
        )

    async def _again(
        self, post: PreparedDelivery, delivery: Delivery, now: float, wait: float | None
    ) -> None:
        """Put a failed delivery off, or give it up when the schedule is used up."""
        at = schedule.next_attempt(len(delivery.attempts), now, random_unit(), wait)
        if at is None:
            await self._end(post, delivery, "failed", "all attempts used up")
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
        order, kind = delivery.order, delivery.type
        await self._write(
            Settlement(
                post.claim,
                at,
                _encode(delivery),
                failed=True,
                order=order,
                may_be_skipped=order is not None and ordering.passable(kind),
            )
        )

    async def _end(
        self, post: PreparedDelivery, delivery: Delivery, state: str, reason: str = ""
    ) -> None:
        """Record the end of a delivery; the body goes with its last one."""
        if state not in ARRIVED:
            log.warning("delivery_ended", delivery=delivery.id, state=state, reason=reason)
        record = _encode(
            {"state": state, "reason": reason or None, **msgspec.to_builtins(delivery)}
        )
        order = delivery.order
        if order is None and await self._late(post):  # put anew by now, it may have one
            order = JobOrder(uid_of(delivery.event_id), 0)
        await self._write(
            Settlement(
                post.claim,
                event=delivery.event_id,
                target=delivery.target,
                record=record,
                order=order,
                delivered=state in ARRIVED,
                requires_token=state == "canceled",  # the subscriber did not say that
            )
        )

    async def _write(self, settled: Settlement) -> None:
        """Settle, however long Redis is away or a key of it is of another type: what was posted
        need not be posted again.
        """
        said = False
        while True:
            try:
                done = await self._settle.add(settled)
            except Unavailable:
                pass
            else:
                if not isinstance(done, WrongKeyType):
                    return
                if not said:
                    log.error("delivery_error", delivery=settled.claim.item, reason=str(done))
                said = True
            await asyncio.sleep(RETRY_INTERVAL)

    async def _disable(self, target: Subscription, reason: str) -> None:
        """Stop sending to a subscriber that wants no more."""
        if target.id.startswith("sub_"):
            await disable(self._context, target, reason)

    async def _settle_all(self, settled: list[Settlement]) -> list[Outcome]:
        done: list[Outcome] = [False] * len(settled)
        for shard in {s.claim.shard for s in settled}:
            places = [i for i, s in enumerate(settled) if s.claim.shard == shard]
            rows = await self._context.store.backlogs.settle([settled[i] for i in places])
            for place, row in zip(places, rows, strict=True):
                done[place] = row
        return done


def _post(
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
    """Why no attempt can be made: where the target is well, it is the body that is missing."""
    if target is None:
        return "no such subscription"
    return "subscription disabled" if target.disabled else "its event is no longer kept"
