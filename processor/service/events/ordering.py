"""Order within a job, for subscriptions that want it: what a later event may overtake."""

from collections.abc import Sequence

from processor.event_types import COMPLETED
from processor.model import Delivery, Job, JobOrder, Subscription


def order_of(target: Subscription, job: Job) -> JobOrder | None:
    """The place of a job's newest event among those that a target gets, if it wants them in order."""
    return JobOrder(job.uid, job.sequence) if target.ordered else None


def passable(kind: str) -> bool:
    """Whether a later event of the job tells all that one of this type does.

    A completion is told whatever comes after it.
    """
    return kind not in COMPLETED


def superseded(waiting: Sequence[Delivery], failed: Delivery) -> list[Delivery]:
    """Those of a job's deliveries that are news no more, the newest first.

    From the one that failed to the newest: what is older than that waits because somebody asked
    for it.
    """
    news = sorted((w for w in waiting if _sequence(w) >= _sequence(failed)), key=_sequence)
    return [one for one in reversed(news[:-1]) if passable(one.type)]


def _sequence(one: Delivery) -> int:
    return one.order.sequence if one.order else 0
