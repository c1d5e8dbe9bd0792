"""/metrics: counters of this process and of the workers, and gauges, for Prometheus."""

from prometheus_client import CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from processor.service.runtime.context import Context
from processor.service.runtime.metrics import RemoteMetrics
from processor.web.gauges import Gauges, read_gauges

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The handler of /metrics."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def get(self, _: Request) -> Response:
        """Every metric; 503 while Redis is unavailable."""
        workers = await self._context.store.workers()
        registry = CollectorRegistry()
        registry.register(RemoteMetrics([("web", self._context.metrics.dump()), *workers.items()]))
        registry.register(Gauges(await read_gauges(self._context, len(workers))))
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE})
