"""A span for each update that belongs to a trace, while its job is taken through it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from msgspec.structs import replace

from processor.service.jobs.decide import IncomingUpdate
from processor.service.runtime.tracing import Tracer


@contextmanager
def update_spans(
    tracer: Tracer, updates: Sequence[IncomingUpdate]
) -> Iterator[Sequence[IncomingUpdate]]:
    """The updates, each as a part of its span; the spans end with the context."""
    if not tracer.records:
        yield updates
        return
    with ExitStack() as spans:
        yield [_traced(spans, tracer, incoming) for incoming in updates]


def _traced(spans: ExitStack, tracer: Tracer, incoming: IncomingUpdate) -> IncomingUpdate:
    update = incoming.update
    if update.trace is None or incoming.failed or incoming.note:
        return incoming
    span = tracer.span("advance", update.trace, source=update.source, job=update.id)
    spans.enter_context(span)
    return replace(incoming, update=replace(update, trace=span.trace))
