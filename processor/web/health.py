"""/healthz, /readyz, /metrics: liveness, readiness, Prometheus metrics."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from processor.errors import Unavailable
from processor.push_loss import PushLoss
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import RemoteMetrics
from processor.service.runtime.redis_check import RedisCheck
from processor.store.keys import BACKLOGS
from processor.web.problems import public_detail
from processor.web.request_body import Json

CACHED = 0.5  # seconds that a good result of a check is reused
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """The handlers for monitoring."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.checked = True  # Redis is known to have our data, or no data
        self.draining = False
        self.redis_check = RedisCheck(context.store, "web")
        self._good_at = -math.inf
        self._checking = asyncio.Lock()
        self.at_drain: list[Callable[[], None]] = []  # ends calls that would not end by themselves

    def drain(self) -> None:
        """Report that this process is stopping, and end calls that wait."""
        self.draining = True
        for release in self.at_drain:
            release()

    async def alive(self, _: Request) -> Response:
        """The event loop runs; Redis is not asked."""
        return Json({"alive": True})

    async def ready(self, _: Request) -> Response:
        """Redis accepts writes, a worker is alive, and this process is not stopping."""
        lacks = await self._lacks()
        warnings = [problem.detail for problem in self.redis_check.problems]
        answer = {"ready": not lacks, "lacks": lacks, "warnings": warnings}
        return Json(answer, 503 if lacks else 200)

    async def _lacks(self) -> list[str]:
        if self.draining:
            return ["this process is draining"]
        if denied := [p.detail for p in self.redis_check.problems if p.name == "rights"]:
            return denied
        async with self._checking:  # needs no key: one check serves all that wait for it
            silent = self._context.store.connection.watchdog.silent
            if silent or asyncio.get_running_loop().time() - self._good_at > CACHED:
                if lacks := await self._check():
                    return lacks
                self._good_at = asyncio.get_running_loop().time()
        return []

    async def _check(self) -> list[str]:
        try:
            await self._context.store.writable()
            workers = await self._context.store.workers()
        except Unavailable as error:
            return [public_detail(error)]
        return [] if workers else ["no worker is alive: start `ringback worker`"]

    async def metrics(self, _: Request) -> Response:
        """Counters of this process and of the workers, and the state of the backlogs."""
        store = self._context.store
        workers = await store.workers()
        gauges = Gauges(
            workers=len(workers),
            fullness=await store.fullness(),
            delayed=await store.persistence.delayed(),
            reserved=store.memory.reserved / store.memory.use.limit
            if store.memory.use.limit
            else 0,
            stalled=list(await store.stalled()),
            losses=await self._losses(),
            depths={b: await store.backlogs.depth(b) for b in BACKLOGS},
        )
        registry = CollectorRegistry()
        registry.register(RemoteMetrics([("web", self._context.metrics.dump()), *workers.items()]))
        registry.register(gauges)
        return Response(generate_latest(registry), headers={"content-type": METRICS})

    async def _losses(self) -> dict[str, PushLoss]:
        """The push loss of each source whose jobs have shown any."""
        known = await self._context.store.statistics.read()
        both = [s.name for s in self._context.settings.sources.values() if s.pushed_and_polled]
        return {name: known[name].push_loss for name in both if name in known}


class Gauges(Collector):
    """Gauges that are read from Redis at each request."""

    def __init__(
        self,
        workers: int,
        fullness: float,
        delayed: int,
        stalled: list[str],
        depths: dict[str, tuple[int, float]],
        *,
        losses: Mapping[str, PushLoss],
        reserved: float = 0.0,
    ) -> None:
        self._workers = workers
        self._fullness = fullness
        self._delayed = delayed
        self._reserved = reserved
        self._stalled = stalled
        self._depths = depths
        self._losses = losses

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Each as a gauge."""
        yield GaugeMetricFamily(
            "ringback_workers", "Live workers (heartbeat within 15 s)", self._workers
        )
        yield GaugeMetricFamily(
            "ringback_redis_fullness", "Used part of maxmemory (0 without)", self._fullness
        )
        yield GaugeMetricFamily(
            "ringback_redis_delayed_syncs",
            "Syncs of the append-only file that took over 2 s, since Redis began",
            self._delayed,
        )
        yield GaugeMetricFamily(
            "ringback_redis_reserved",
            "Part of maxmemory that accepted work will still take (0 without)",
            self._reserved,
        )
        items = GaugeMetricFamily("ringback_backlog_items", "Items", labels=["backlog"])
        overdue = GaugeMetricFamily(
            "ringback_backlog_overdue_seconds", "Age of the oldest due item", labels=["backlog"]
        )
        for backlog, (count, seconds) in self._depths.items():
            items.add_metric([backlog], count)
            overdue.add_metric([backlog], seconds)
        stalled = GaugeMetricFamily(
            "ringback_source_stalled", "1: the provider refuses our token", labels=["source"]
        )
        for source in self._stalled:
            stalled.add_metric([source], 1)
        loss = GaugeMetricFamily(
            "ringback_push_loss", "Share of pushes that never came", labels=["source"]
        )
        poll_first = GaugeMetricFamily(
            "ringback_source_poll_first", "1: polls do not wait for pushes", labels=["source"]
        )
        for source, found in self._losses.items():
            loss.add_metric([source], found.share)
            poll_first.add_metric([source], found.poll_first)
        yield from (items, overdue, stalled, loss, poll_first)
