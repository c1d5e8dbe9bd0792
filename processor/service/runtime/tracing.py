"""Tracing: a span for each step of a push or poll on its way to a delivery; nothing without a tracer.

A trace is passed on as a `traceparent`, through records and queues: what follows a span belongs to
the span's `trace`. Without OpenTelemetry that is the `traceparent` that came in, unchanged.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self

import structlog

SpanName = Literal["push", "poll", "advance", "deliver"]
Attribute = str | int | None  # None: there is none

ENDPOINTS = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
"""Variables of OpenTelemetry that say where spans go: tracing is on if one of them is set."""

log = structlog.get_logger()


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


def open_tracer(environ: Mapping[str, str]) -> Tracer:
    """The tracer that OpenTelemetry's variables ask for; it is imported only if they do."""
    if not is_configured(environ):
        return NO_TRACER
    try:
        from processor.service.runtime.otel import open_otel_tracer  # noqa: PLC0415 - only if wanted
    except ModuleNotFoundError as error:
        remedy = "pip install 'ringback[otel]'"
        log.warning("tracing_unavailable", reason=str(error), remedy=remedy)
        return NO_TRACER
    return open_otel_tracer(environ)


def is_configured(environ: Mapping[str, str]) -> bool:
    """Whether the variables say where spans go."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return environ.get("OTEL_TRACES_EXPORTER") != "none" and any(map(environ.get, ENDPOINTS))
