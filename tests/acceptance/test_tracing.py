"""A trace that goes through receiver and worker, as a collector of OpenTelemetry sees it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from .conftest import standard
from .feed import Caller, push
from .sink import Sink
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

protocol = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    reason="the extra `otel` is not installed",
)
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Receives spans (OTLP over HTTP)."""

    def __init__(self) -> None:
        self.spans: dict[str, Any] = {}  # by name
        self.services: set[str] = set()

    async def receive(self, request: web.Request) -> web.Response:
        """Keep the spans of an export."""
        for resource in protocol.ExportTraceServiceRequest.FromString(
            await request.read()
        ).resource_spans:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            self.services.add(named["service.name"])
            spans = [span for scope in resource.scope_spans for span in scope.spans]
            self.spans |= {span.name: span for span in spans}
        return web.Response(content_type="application/x-protobuf")


async def test_a_collector_gets_the_trace_of_a_push_from_all_processes(
    plan: Callable[..., System],
) -> None:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    system = plan(
        standard("feed"), OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="100"
    ).start_all()
    try:
        async with Caller(system.url) as caller, Sink() as sink:
            await caller.subscribe(sink, "feed")
            pushed = push("feed", "1", "succeeded")
            pushed.headers["traceparent"] = CALLER
            assert await caller.push(pushed) == 202
            spans = collector.spans
            await until(lambda: {"push", "advance", "deliver"} <= set(spans), 20, "spans")
    finally:
        await runner.cleanup()
    trace, parent = (bytes.fromhex(part) for part in CALLER.split("-")[1:3])
    assert {span.trace_id for span in spans.values()} == {trace}
    parents = [spans[name].parent_span_id for name in ("push", "advance", "deliver")]
    assert parents == [parent, spans["push"].span_id, spans["advance"].span_id]
    assert collector.services == {"ringback"}


async def test_a_collector_that_never_answers_delays_neither_callbacks_nor_the_end(
    plan: Callable[..., System],
) -> None:
    released = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    system = plan(
        standard("feed"), OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="100"
    ).start_all()
    async with Caller(system.url) as caller, Sink() as sink:
        await caller.subscribe(sink, "feed")
        assert await caller.push(push("feed", "1", "succeeded")) == 202
        await until(lambda: sink.calls, 20, "the callback")
        for child in system.children.values():
            child.terminate()
        for child in system.children.values():
            assert await asyncio.to_thread(child.wait) == 0, child.log()
    released.set()
    server.close()
