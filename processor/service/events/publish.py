"""Makes an event of a job, and a delivery of it for each matching subscription."""

from collections.abc import Sequence

import msgspec

from processor import payload, state_machine
from processor.config import Source
from processor.event_filters import EventRouter
from processor.event_types import COMPLETED, POLL_STALLED
from processor.model import (
    Delivery,
    Job,
    JobOrder,
)
from processor.service.events.ordering import order_of
from processor.source_statistics import NO_STATISTICS, SourceStatistics
from processor.store.change import NewEvent
from processor.store.jobs import name_of
from processor.store.work_items import NOW, WorkItem

_encode = msgspec.json.Encoder().encode

Place = tuple[str, str, JobOrder | None]  # of a delivery: target, lane, order


class DecisionInputs(msgspec.Struct, frozen=True):
    """All that a decision needs besides the job and its updates."""

    source: Source
    router: EventRouter
    now: float
    random_unit: float
    uid: str  # of a new job
    statistics: SourceStatistics = NO_STATISTICS
    waited: bool = False  # whether somebody waits for the job


def publish(job: Job, kind: str, inputs: DecisionInputs) -> NewEvent:
    """An event of a job, with a delivery for each matching subscription and callback."""
    matching = inputs.router.matching(kind, job.source, job.provider, job.metadata)
    places: list[Place] = [(s.id, s.id, order_of(s, job)) for s in matching]
    if job.callbacks and kind in COMPLETED:
        places += [(callback.id, callback.lane, None) for callback in job.callbacks]
    body = payload.event_body(job, kind)
    return _new_event(job, state_machine.event_id(job), kind, body, places, inputs.now)


def publish_poll_stalled(job: Job, poll: payload.PollData, inputs: DecisionInputs) -> NewEvent:
    """The `job.poll_stalled` of a series of failed polls; it has no place in the job's order."""
    matching = inputs.router.matching(POLL_STALLED, job.source, job.provider, job.metadata)
    event, body = (
        state_machine.poll_stalled_id(job),
        payload.poll_stalled_body(job, inputs.now, poll),
    )
    places = [(s.id, s.id, None) for s in matching]
    return _new_event(job, event, POLL_STALLED, body, places, inputs.now)


def _new_event(  # noqa: PLR0917 - one fact about the event each
    job: Job, event: str, kind: str, body: bytes, places: Sequence[Place], now: float
) -> NewEvent:
    if not places:
        return NewEvent(event, kind, body, ())
    name = name_of(job)
    deliveries = [
        delivery_item(event, kind, target, lane, now, trace=job.trace, order=order, job=name)
        for target, lane, order in places
    ]
    return NewEvent(event, kind, body, deliveries)


def delivery_item(
    event: str,
    kind: str,
    target: str,
    lane: str,
    now: float,
    *,
    trace: str | None = None,
    order: JobOrder | None = None,
    job: str | None = None,
) -> WorkItem:
    """A delivery, due at once, or once the deliveries before it in its order have ended."""
    delivery = Delivery(
        f"{event}.{target}", event, kind, target, now, trace=trace, order=order, job=job
    )
    return WorkItem("deliver", lane, delivery.id, NOW, _encode(delivery), order)
