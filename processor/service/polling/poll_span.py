"""The span of a poll; what its answer says belongs to it."""

from typing import TypeVar

from msgspec.structs import replace

from processor.model import HttpResponse, StatusUpdate
from processor.provider import PollFailure
from processor.service.runtime.tracing import Tracer

Outcome = TypeVar("Outcome", StatusUpdate, StatusUpdate | PollFailure)


def with_span(
    tracer: Tracer,
    source: str,
    job: str,
    outcome: Outcome,
    *,
    parent: str | None,
    began: int,
    response: HttpResponse | None,
) -> Outcome:
    """The outcome of a poll that has just ended, as a part of its span; it began at `began` (ns)."""
    if not tracer.records:
        return outcome
    status = response.status if response else None
    with tracer.span("poll", parent, began, source=source, job=job, status=status) as span:
        if isinstance(outcome, PollFailure):
            span.fail(outcome.kind)
            return outcome
    return replace(outcome, trace=span.trace, own_trace=True)
