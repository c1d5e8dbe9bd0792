"""Retry on request: makes one delivery again, pending or dead letter (not the retry schedule)."""

from typing import Any

import msgspec
from msgspec.structs import replace

from processor.errors import Conflict, NotFound, WrongKeyType
from processor.event_types import TEST
from processor.model import ARRIVED, Delivery, Subscription
from processor.service.runtime.context import Context
from processor.service.subscriptions import manage
from processor.service.subscriptions.validation import lane_of_target
from processor.store.keys import Keys
from processor.store.redeliveries import Ended, ReadPosition, Redelivery
from processor.store.work_items import NOW, WorkItem

MAX_RETRIED = 10_000  # deliveries of one call
CREATED_AFTER = 1.0  # seconds: an event may be in the log before its delivery's `created_at`
_encode = msgspec.json.Encoder().encode


class RetryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`again`: also a delivery that was delivered, or superseded."""

    again: bool = False


class RetryAllRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose deliveries to make now: a subscription's, or those of a job's callback."""

    subscription: str


async def retry(context: Context, delivery: str, *, again: bool = False) -> dict[str, Any]:
    """Make a delivery due now: a pending one, or a dead letter (failed or canceled); with `again`
    also one that was delivered.

    One that has ended starts again with all its attempts. Raises NotFound, or Conflict if it was
    delivered or its event is no longer kept.
    """
    name = delivery.rpartition(".")[2]
    if not name.startswith(("sub_", "cb_")):
        raise _unknown(delivery)
    target = await delivery_target(context, name)
    manage.check_enabled(target)
    for keys in context.store.shards:
        if await _run_now(context, keys, target, delivery) or await _revive(
            context, keys, target, delivery, again=again
        ):
            return {"id": delivery, "state": "pending"}
    raise _unknown(delivery)


async def retry_all(context: Context, body: RetryAllRequest) -> int:
    """Make all deliveries of a target due now that failed and wait for their next attempt; how many
    there were. At most MAX_RETRIED in one call. Conflict if its subscription is disabled.
    """
    target = await delivery_target(context, body.subscription)
    manage.check_enabled(target)
    stored, lane, due = context.store.redeliveries, lane_of_target(target), 0
    for keys in context.store.shards:
        for item in await stored.retries(keys, target.id, lane, MAX_RETRIED - due):
            due += await stored.run_now(keys, lane, item)
    return due


async def delivery_target(context: Context, target: str) -> Subscription:
    """A subscription, or a callback target; NotFound if there is none of this id."""
    if not target.startswith("cb_"):
        return await manage.get(context, target)
    for keys in context.store.shards:
        found, _ = await context.store.subscriptions.read(keys, [target], [])
        callback = found[target]
        if isinstance(callback, WrongKeyType):
            raise callback
        if callback:
            return callback
    raise NotFound(f"No callback target {target!r}: its jobs are gone")


async def _run_now(context: Context, keys: Keys, target: Subscription, delivery: str) -> bool:
    return await context.store.redeliveries.run_now(keys, lane_of_target(target), delivery)


async def _revive(
    context: Context, keys: Keys, target: Subscription, delivery: str, *, again: bool
) -> bool:
    """Enqueue an ended delivery again; False if this shard does not know it."""
    store = context.store
    ended, seen = await store.redeliveries.ended(keys, target.id, ReadPosition())
    records = [record for record in ended if record.id == delivery]
    if not records:
        return False
    last = records[-1]
    if last.state in ARRIVED and not again:
        raise _arrived(delivery, last.state)
    item, body = _item(last, lane_of_target(target)), await _body(context, keys, last)
    made = Redelivery(item, last.event_id, body)
    (state,) = await store.redeliveries.queue(keys, target.id, seen, [made], again=True)
    if state == "delivered":
        raise _arrived(delivery, state)
    return True


def _item(record: Ended, lane: str) -> WorkItem:
    fields = {name: getattr(record, name) for name in Delivery.__struct_fields__}
    fresh = replace(Delivery(**fields), attempts=())
    return WorkItem("deliver", lane, fresh.id, NOW, _encode(fresh), fresh.order)


async def _body(context: Context, keys: Keys, record: Ended) -> bytes:
    """The body of its event: kept for other deliveries, or still in the log."""
    store = context.store
    body = await store.redeliveries.body(keys, record.event_id)
    body = body or await store.events.find(keys, record.event_id, record.created_at - CREATED_AFTER)
    if body is None and record.type == TEST:
        raise Conflict(
            f"{record.id}: the event of a test is not kept; `ringback subscriptions test "
            f"{record.target}` sends another"
        )
    if body is None:
        raise Conflict(f"{record.id}: its event is not in the log any more (kept for 7 days)")
    return body


def _unknown(delivery: str) -> NotFound:
    return NotFound(f"No delivery {delivery!r}: /v1/deliveries lists a subscription's")


def _arrived(delivery: str, state: str) -> Conflict:
    remedy = 'to send it once more, send {"again": true} (`ringback deliveries retry --again`)'
    return Conflict(f"{delivery} was {state}; {remedy}")
