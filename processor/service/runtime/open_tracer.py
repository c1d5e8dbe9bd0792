"""Opens the tracer of a process: OpenTelemetry's, if its variables ask for one."""

from collections.abc import Mapping

import structlog

from processor.service.runtime.tracing import NO_TRACER, Tracer

ENDPOINTS = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
"""Variables of OpenTelemetry that say where spans go: tracing is on if one of them is set."""

log = structlog.get_logger()


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
