"""Makes an event of a job, and a delivery of it for each matching subscription."""

import msgspec

from processor import payload, state_machine
from processor.config import Source
from processor.event_filters import EventRouter
from processor.event_types import COMPLETED
from processor.model import (
    Delivery,
    Job,
    JobOrder,
)
from processor.service.events.ordering import order_of
from processor.store.change import NewEvent
from processor.store.work_items import NOW, WorkItem

_encode = msgspec.json.Encoder().encode


class DecisionInputs(msgspec.Struct, frozen=True):
    """All that a decision needs besides the job and its updates."""

    source: Source
    router: EventRouter
    now: float
    random_unit: float
    uid: str  # of a new job


def publish(job: Job, kind: str, inputs: DecisionInputs) -> NewEvent:
    """An event of a job, with a delivery for each matching subscription and callback."""
    event = state_machine.event_id(job)
    matching = inputs.router.matching(kind, job.source, job.provider, job.metadata)
    callbacks = job.callbacks if kind in COMPLETED else ()
    places = [
        *((s.id, s.id, order_of(s, job)) for s in matching),
        *((callback.id, callback.lane, None) for callback in callbacks),
    ]
    return NewEvent(
        id=event,
        type=kind,
        body=payload.event_body(job, kind),
        deliveries=tuple(
            delivery_item(event, kind, target, lane, inputs.now, trace=job.trace, order=order)
            for target, lane, order in places
        ),
    )


def delivery_item(
    event: str,
    kind: str,
    target: str,
    lane: str,
    now: float,
    *,
    trace: str | None = None,
    order: JobOrder | None = None,
) -> WorkItem:
    """A delivery, due at once, or once the deliveries before it in its order have ended."""
    delivery = Delivery(f"{event}.{target}", event, kind, target, now, trace=trace, order=order)
    return WorkItem("deliver", lane, delivery.id, NOW, _encode(delivery), order)
