"""One attempt of a delivery: POSTs the event to its subscriber, and reports to the circuit breaker."""

import asyncio
from collections.abc import Awaitable, Sequence

import msgspec

from processor.egress import NetworkScope
from processor.errors import BlockedTarget, RequestFailed
from processor.formats import BATCH, FORMATS, Event
from processor.http_time import parse_retry_after
from processor.model import Attempt, Delivery, Subscription
from processor.service.delivery.batch import Batcher
from processor.service.delivery.circuit_breaker import CircuitBreakers
from processor.service.runtime.context import Context
from processor.service.runtime.tracing import Span

TIMEOUT = 15.0  # seconds for a subscriber's response
TOO_LARGE = 413  # of a batch: it is sent again in halves


class AttemptResult(msgspec.Struct, frozen=True):
    """An attempt, and what the response asks for."""

    attempt: Attempt
    wait: float | None = None  # seconds until the next attempt, by `Retry-After`
    control: str = ""  # the `webhook-delivery` header: `disable` or `abort-message`
    outdated: bool = False  # it failed at a URL that the subscription does not have any more


class Sender:
    """Makes the attempts of one process."""

    def __init__(self, context: Context, breakers: CircuitBreakers) -> None:
        self._context = context
        self._breakers = breakers
        self._batcher: Batcher[AttemptResult] = Batcher(self._send_batch)

    async def send(self, target: Subscription, delivery: Delivery, body: bytes) -> AttemptResult:
        """Send one event, alone or in a batch with others of this subscriber."""
        tracer, event = self._context.tracer, delivery.event_id
        if not tracer.records:
            return await self._send(target, Event(event, body, delivery.trace))
        with tracer.span(
            *("deliver", delivery.trace),
            subscription=target.id,
            event=event,
            attempt=len(delivery.attempts) + 1,
        ) as span:
            result = await self._send(target, Event(event, body, span.trace))
            _note(span, result.attempt)
        return result

    def _send(self, target: Subscription, event: Event) -> Awaitable[AttemptResult]:
        if target.format == BATCH:
            return self._batcher.add(target, event)
        return self._request(target, [event])

    async def _send_batch(
        self, target: Subscription, events: Sequence[Event]
    ) -> list[AttemptResult]:
        """Send events together; in halves if the subscriber says that they are too large."""
        result = await self._request(target, events)
        if result.attempt.status != TOO_LARGE or len(events) == 1:
            return [result for _ in events]
        half = len(events) // 2
        first, second = await asyncio.gather(
            self._send_batch(target, events[:half]), self._send_batch(target, events[half:])
        )
        return first + second

    async def _request(self, target: Subscription, events: Sequence[Event]) -> AttemptResult:
        at = await self._context.store.now()
        headers, body = FORMATS[target.format](events, target, at)
        try:
            response = await self._context.egress.request(
                "POST",
                target.url,
                headers=headers,
                body=body,
                scope=NetworkScope.CONFIGURED if target.static else NetworkScope.PUBLIC,
                timeout=TIMEOUT,
                body_wanted=False,
                repeatable=True,  # subscribers dedupe by its id
            )
        except (BlockedTarget, RequestFailed) as error:
            seconds = await self._context.store.now() - at
            result = AttemptResult(Attempt(at, seconds, error=str(error)))
        else:
            wait = parse_retry_after(response.headers.get("retry-after"), at + response.seconds)
            control = response.headers.get("webhook-delivery", "").strip().lower()
            attempt = Attempt(at, response.seconds, response.status)
            result = AttemptResult(attempt, wait, control)
        if await self._breakers.record(target, result.attempt, result.wait):
            return result
        return AttemptResult(result.attempt, outdated=not result.attempt.succeeded)


def _note(span: Span, attempt: Attempt) -> None:
    """Say in its span how an attempt ended."""
    span.note(status=attempt.status)
    if attempt.status is None:
        span.fail("no response")
    elif not attempt.succeeded:
        span.fail(f"HTTP {attempt.status}")
