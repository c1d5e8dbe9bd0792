"""Spans for OpenTelemetry, whose SDK reads the OTEL_… variables; imported only if they are set."""

import threading
from collections.abc import Mapping
from types import TracebackType

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from processor.errors import ConfigError
from processor.service.runtime.tracing import Attribute, Span, SpanName, Tracer

KINDS: dict[SpanName, SpanKind] = {
    "push": SpanKind.SERVER,
    "poll": SpanKind.CLIENT,
    "advance": SpanKind.INTERNAL,
    "deliver": SpanKind.CLIENT,
}
EXPORTERS: dict[str, type[SpanExporter]] = {
    "otlp": OTLPSpanExporter,
    "console": ConsoleSpanExporter,
}
STANDARD = {"status": "http.response.status_code"}  # attributes that OpenTelemetry has a name for
CLOSE_TIMEOUT = 3.0  # seconds for the last spans

_propagator = TraceContextTextMapPropagator()


class OtelSpan(Span):
    """A recorded span."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        context = span.get_span_context()
        flags = int(context.trace_flags)
        super().__init__(f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}")
        self._span = span

    def note(self, **attributes: Attribute) -> None:
        """Add attributes."""
        self._span.set_attributes(_named(attributes))

    def fail(self, reason: str) -> None:
        """Set its status to an error."""
        self._span.set_status(Status(StatusCode.ERROR, reason))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it; it failed if there is an error."""
        if kind:
            self.fail(kind.__name__)  # its text may quote a body
        self._span.end()


class OtelTracer(Tracer):
    """Records spans with a provider of OpenTelemetry's SDK."""

    records = True

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("ringback")

    def span(
        self,
        name: SpanName,
        parent: str | None,
        began: int | None = None,
        **attributes: Attribute,
    ) -> Span:
        """A span whose parent is the given one only, not one of the task that runs."""
        nowhere = Context()
        context = _propagator.extract({"traceparent": parent}, nowhere) if parent else nowhere
        given, kind = _named(attributes), KINDS[name]
        return OtelSpan(
            self._tracer.start_span(name, context, kind=kind, attributes=given, start_time=began)
        )

    def close(self) -> None:
        """Send the last spans, for a few seconds at most."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()  # which may wait for a collector that does not answer
        closing.join(CLOSE_TIMEOUT)


def open_otel_tracer(environ: Mapping[str, str]) -> OtelTracer:
    """A tracer that exports as the variables say; ConfigError for an exporter that we do not have."""
    name = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name not in EXPORTERS:
        known = ", ".join((*EXPORTERS, "none"))
        raise ConfigError(f"OTEL_TRACES_EXPORTER: {name!r} is not supported: write one of {known}")
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "ringback"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(EXPORTERS[name]()))
    return OtelTracer(provider)


def _named(attributes: Mapping[str, Attribute]) -> dict[str, str | int]:
    return {
        STANDARD.get(name, f"ringback.{name}"): value
        for name, value in attributes.items()
        if value is not None
    }
