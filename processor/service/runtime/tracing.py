"""Tracing: a span for each step of a push or poll on its way to a delivery; nothing without a tracer.

A trace is passed on as a `traceparent`, through records and queues: what follows a span belongs to
the span's `trace`. Without OpenTelemetry that is the `traceparent` that came in, unchanged.
"""

from types import TracebackType
from typing import Literal, Self

SpanName = Literal["push", "poll", "advance", "deliver"]
Attribute = str | int | None  # None: there is none


class Span:
    """A span that nobody records: what follows belongs to its parent."""

    __slots__ = ("trace",)

    def __init__(self, trace: str | None) -> None:
        self.trace = trace  # the `traceparent` of what follows

    def note(self, **attributes: Attribute) -> None:
        """Add what is known now."""

    def fail(self, reason: str) -> None:
        """Say that it failed; the reason holds no secret and no body."""

    def __enter__(self) -> Self:
        """It has begun already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""


class Tracer:
    """Makes spans that nobody records."""

    records = False

    def span(
        self,
        name: SpanName,  # noqa: ARG002 - for those who record
        parent: str | None,
        began: int | None = None,  # noqa: ARG002
        **attributes: Attribute,  # noqa: ARG002
    ) -> Span:
        """A span of the trace of `parent`, a `traceparent`; None begins a trace.

        `began` is when it began, in nanoseconds since the epoch, if not now.
        """
        return Span(parent)

    def close(self) -> None:
        """Send what was recorded."""


NO_TRACER = Tracer()
