"""Tracing: the whole trace of a push or poll, and nothing at all where it is not configured."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from processor.errors import BadSignature, ConfigError
from processor.model import Push
from processor.service.jobs.watch import watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.runtime.open_tracer import open_tracer
from processor.service.runtime.tracing import NO_TRACER

from ..conftest import Bench
from ..desk import Desk

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="the extra `otel` is not installed")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
export = pytest.importorskip("opentelemetry.sdk.trace.export")

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, PARENT = CALLER.split("-")[1:3]


class Listener:
    """A subscriber that keeps the `traceparent` of each event."""

    def __init__(self) -> None:
        self.url, self.status = "", 200
        self.traces: list[str | None] = []
        self.events: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Receive an event."""
        self.traces.append(request.headers.get("traceparent"))
        body = await request.json()
        self.events += body if isinstance(body, list) else [body]
        return web.Response(status=self.status)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    ours, app = Listener(), web.Application()
    app.router.add_post("/", ours.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield ours
    await runner.cleanup()


class Traced:
    """A bench with a tracer, and a subscription to all its jobs."""

    def __init__(self, bench: Any, listener: Listener) -> None:
        from processor.service.runtime.otel import OtelTracer  # noqa: PLC0415 - needs the extra

        provider, self._spans = sdk.TracerProvider(), memory.InMemorySpanExporter()
        provider.add_span_processor(export.SimpleSpanProcessor(self._spans))
        self.bench = Bench(bench.context._replace(tracer=OtelTracer(provider)))
        self.desk = Desk(self.bench, listener)
        self.listener = listener

    async def push(self, trace: str | None = CALLER, **body: Any) -> None:
        """Receive a push, ingest it, deliver its event."""
        headers = {"traceparent": trace} if trace else {}
        await self.bench.take("lab", Push(headers, json.dumps(body).encode()))
        await self.desk.deliver()

    @property
    def spans(self) -> list[Any]:
        """All spans that ended, by their start."""
        return sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time)

    def chain(self) -> list[str]:
        """Names and parents, which must be one line within one trace."""
        spans = {span.context.span_id: span for span in self.spans}
        assert len({span.context.trace_id for span in spans.values()}) == 1
        (last,) = spans.keys() - {span.parent.span_id for span in spans.values() if span.parent}
        names = []
        while last in spans:
            names.append(spans[last].name)
            last = spans[last].parent.span_id if spans[last].parent else 0
        assert len(names) == len(spans)
        return names[::-1]


@pytest.fixture
async def traced(bench: Any, listener: Listener) -> Traced:
    found = Traced(bench, listener)
    await found.desk.subscribe(url=listener.url)
    return found


def named(span: Any) -> str:
    """The `traceparent` of a span."""
    ids = span.context
    return f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{int(ids.trace_flags):02x}"


async def test_a_trace_goes_from_the_push_to_its_delivery(traced: Traced) -> None:
    await traced.push(id="1", status="succeeded")
    assert traced.chain() == ["push", "advance", "deliver"]
    first, *_, last = traced.spans
    assert (f"{first.context.trace_id:032x}", f"{first.parent.span_id:016x}") == (TRACE, PARENT)
    assert traced.listener.traces == [named(last)]
    assert last.attributes["http.response.status_code"] == 200
    assert last.attributes["ringback.attempt"] == 1
    assert first.attributes == {"ringback.source": "lab"}


async def test_a_push_without_a_trace_begins_one(traced: Traced) -> None:
    await traced.push(None, id="1", status="succeeded")
    assert traced.chain() == ["push", "advance", "deliver"]


async def test_a_trace_that_is_not_sampled_is_passed_on_and_not_recorded(traced: Traced) -> None:
    await traced.push(f"{CALLER[:-2]}00", id="1", status="succeeded")
    assert traced.spans == []
    (sent,) = traced.listener.traces
    assert sent
    assert sent.startswith(f"00-{TRACE}-")
    assert sent.endswith("-00")


async def test_a_poll_belongs_to_the_trace_of_its_registration(
    traced: Traced, provider: Any
) -> None:
    provider.says("1", status="succeeded")
    await watch(traced.bench.context, "lab", "1", WatchRequest(), CALLER)
    while not await traced.bench.poll():
        pass
    await traced.desk.deliver()
    assert traced.chain() == ["poll", "advance", "deliver"]
    assert traced.spans[0].attributes["http.response.status_code"] == 200
    assert named(traced.spans[0]).split("-")[1] == TRACE


async def test_a_push_without_a_trace_does_not_end_the_one_of_the_registration(
    traced: Traced,
) -> None:
    await watch(traced.bench.context, "lab", "1", WatchRequest(poll=False), CALLER)
    await traced.push(None, id="1", status="succeeded")
    (sent,) = traced.listener.traces
    assert sent
    assert sent.split("-")[1] == TRACE


async def test_the_last_push_decides_if_nobody_gave_a_trace(traced: Traced) -> None:
    for event, status in enumerate(("running", "succeeded")):
        await traced.push(None, id="1", status=status, event=str(event))
    *_, push, advance, sent = traced.spans
    assert [push.name, advance.name, sent.name] == ["push", "advance", "deliver"]
    assert push.context.trace_id == advance.context.trace_id == sent.context.trace_id


async def test_a_trace_of_the_provider_goes_before_all_others(traced: Traced) -> None:
    await watch(
        traced.bench.context, "lab", "1", WatchRequest(poll=False), CALLER.replace(TRACE, "1" * 32)
    )
    await traced.push(id="1", status="succeeded")
    assert traced.listener.traces == [named(traced.spans[-1])]
    assert traced.listener.traces[0].split("-")[1] == TRACE


async def test_a_poll_that_fails_says_how(traced: Traced, provider: Any) -> None:
    provider.says("1", 500, status="secret words of the provider")
    await traced.bench.watch("1")
    while not await traced.bench.poll():
        pass
    (span,) = traced.spans
    assert (span.name, span.status.description) == ("poll", "failed")
    assert "secret" not in span.to_json()


async def test_a_failed_attempt_says_how(traced: Traced) -> None:
    traced.listener.status = 500
    headers = {"traceparent": CALLER}
    await traced.bench.take("lab", Push(headers, b'{"id": "1", "status": "succeeded"}'))
    await traced.desk.round()
    assert traced.chain() == ["push", "advance", "deliver"]
    assert traced.spans[-1].status.description == "HTTP 500"


async def test_events_of_a_batch_keep_their_own_traces(bench: Any, listener: Listener) -> None:
    traced = Traced(bench, listener)
    await traced.desk.subscribe(url=listener.url, format="cloudevents-batch")
    for job in "12":
        body = json.dumps({"id": job, "status": "succeeded"}).encode()
        await traced.bench.take("lab", Push({}, body))
    await traced.desk.deliver()
    sent = [span for span in traced.spans if span.name == "deliver"]
    assert len({span.context.trace_id for span in sent}) == 2
    assert sorted(event["traceparent"] for event in listener.events) == sorted(map(named, sent))


async def test_a_refused_push_makes_no_span(traced: Traced) -> None:
    receiver = traced.bench._receiver
    with pytest.raises(BadSignature):
        await receiver.receive(receiver.source("mute"), Push({"traceparent": CALLER}, b"{}"))
    assert traced.spans == []


# --- the variables ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "ringback"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"},
    ],
)
def test_without_a_place_for_spans_there_is_no_tracer(environ: dict[str, str]) -> None:
    assert open_tracer(environ) is NO_TRACER


def test_an_exporter_that_is_not_supported_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"OTEL_TRACES_EXPORTER: 'zipkin'.*otlp, console, none"):
        open_tracer({"OTEL_TRACES_EXPORTER": "zipkin"})


def test_where_it_is_not_installed_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "processor.service.runtime.otel", raising=False)
    with capture_logs() as logged:
        assert open_tracer({"OTEL_TRACES_EXPORTER": "otlp"}) is NO_TRACER
    assert [(line["event"], "otel" in line["remedy"]) for line in logged] == [
        ("tracing_unavailable", True)
    ]


def test_the_sdk_is_not_imported_by_us_unless_it_is_configured() -> None:
    """redis-py imports the API and some of the SDK where they are installed; it exports nothing."""
    program = (
        "import sys; import workers.__main__, processor.web.__main__\n"
        "from processor.service.runtime.open_tracer import open_tracer\n"
        "open_tracer({}); ours = 'processor.service.runtime.otel', 'opentelemetry.exporter'\n"
        "sys.exit(any(name.startswith(ours) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
