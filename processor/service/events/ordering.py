"""Order of a job's events, for `ordered` subscriptions: which deliveries a later event supersedes."""

from collections.abc import Sequence

from processor.event_types import COMPLETED
from processor.model import Delivery, Job, JobOrder, Subscription


def order_of(subscription: Subscription, job: Job) -> JobOrder | None:
    """The order of a job's newest event among its deliveries; None unless `ordered`."""
    return JobOrder(job.uid, job.sequence) if subscription.ordered else None


def may_be_skipped(kind: str) -> bool:
    """Whether a later event of the job says all that an event of this type says.

    A completion is always delivered, whatever comes after it.
    """
    return kind not in COMPLETED


def superseded(waiting: Sequence[Delivery], failed: Delivery) -> list[Delivery]:
    """The deliveries of a job that a newer waiting one supersedes, the newest first.

    Only the failed one and newer ones: an older one waits because somebody asked for it again.
    """
    newer = sorted((w for w in waiting if _sequence(w) >= _sequence(failed)), key=_sequence)
    return [w for w in reversed(newer[:-1]) if may_be_skipped(w.type)]


def _sequence(delivery: Delivery) -> int:
    return delivery.order.sequence if delivery.order else 0
