"""Gauges of /metrics: the state of all work, read from Redis at each request.

A gauge by subscription or source has only samples that are not 0, at most `MAX_SAMPLES`.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from processor.service.polling.budget import credential_of
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import CALLBACK
from processor.store.keys import BACKLOGS
from processor.store.stream_ids import written_at
from processor.store.subscriber_health import SubscriberHealth

MAX_SAMPLES = 100  # of a gauge, the highest

Samples = Mapping[str, float]
"""Values by the value of the label, which is empty where there is none."""


class Gauge(NamedTuple):
    """What a gauge shows, and by which label."""

    text: str
    label: str | None = None


GAUGES = {
    "workers": Gauge("Live workers (heartbeat within 15 s)"),
    "redis_memory_used_ratio": Gauge("Used part of maxmemory (0 without)"),
    "redis_memory_reserved_ratio": Gauge(
        "Part of maxmemory that accepted work will still take (0 without)"
    ),
    "redis_delayed_syncs_total": Gauge(
        "Syncs of the append-only file that took over 2 s, since Redis began"
    ),
    "backlog_items": Gauge("Items", "backlog"),
    "backlog_overdue_seconds": Gauge("Age of the oldest due item", "backlog"),
    "source_stalled": Gauge("1: the provider refuses our token", "source"),
    "source_throttled_seconds": Gauge("For how long the provider wants no requests", "source"),
    "source_held_updates": Gauge("Updates of jobs that nobody registered", "source"),
    "source_failing_polls": Gauge("Jobs whose last poll failed", "source"),
    "source_push_loss_ratio": Gauge("Share of pushes that never came", "source"),
    "source_poll_first": Gauge("1: polls do not wait for pushes", "source"),
    "subscriptions": Gauge("Subscriptions", "state"),
    "subscription_disabled": Gauge("1: the subscription gets no more", "subscription"),
    "subscription_overflow_seconds": Gauge("Age of the oldest event in overflow", "subscription"),
    "subscription_failing_seconds": Gauge(
        "For how long it has failed, while deliveries to it wait", "subscription"
    ),
    "circuit_breaker_open": Gauge("1: the subscriber failed, and is paused", "subscription"),
}


class Gauges(Collector):
    """Gauges that were read."""

    def __init__(self, samples: Mapping[str, Samples]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """Every gauge of the table."""
        for name, gauge in GAUGES.items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            labels = [gauge.label] if gauge.label else []
            family = kind(f"ringback_{name}", gauge.text, labels=labels)
            for value, number in self._samples[name].items():
                family.add_metric([value] if labels else [], number)
            yield family


async def read_gauges(context: Context, workers: int) -> dict[str, Samples]:
    """The samples of every gauge."""
    return {
        "workers": {"": workers},
        **await _redis(context),
        **await _backlogs(context),
        **await _sources(context),
        **await _subscriptions(context),
    }


async def _redis(context: Context) -> dict[str, Samples]:
    memory = context.store.memory
    fullness = await context.store.fullness()
    limit = memory.use.limit
    return {
        "redis_memory_used_ratio": {"": fullness},
        "redis_memory_reserved_ratio": {"": memory.reserved / limit if limit else 0.0},
        "redis_delayed_syncs_total": {"": await context.store.persistence.delayed()},
    }


async def _backlogs(context: Context) -> dict[str, Samples]:
    depths = {backlog: await context.store.backlogs.depth(backlog) for backlog in BACKLOGS}
    return {
        "backlog_items": {backlog: items for backlog, (items, _) in depths.items()},
        "backlog_overdue_seconds": {backlog: late for backlog, (_, late) in depths.items()},
    }


async def _sources(context: Context) -> dict[str, Samples]:
    store, sources = context.store, context.settings.sources.values()
    known = await store.statistics.read()
    polled = [source for source in sources if source.pollable]
    parked = await store.buckets.parked([credential_of(source) for source in polled])
    losses = {
        s.name: known[s.name].push_loss for s in sources if s.pushed_and_polled and s.name in known
    }
    return {
        "source_stalled": dict.fromkeys(await store.stalled_sources.read(), 1.0),
        "source_throttled_seconds": _highest(
            {source.name: left for source, left in zip(polled, parked, strict=True)}
        ),
        "source_held_updates": _highest(await store.held.counts([s.name for s in sources])),
        "source_failing_polls": _highest(await store.failing_jobs.counts([s.name for s in polled])),
        "source_push_loss_ratio": {name: loss.share for name, loss in losses.items()},
        "source_poll_first": {name: float(loss.poll_first) for name, loss in losses.items()},
    }


async def _subscriptions(context: Context) -> dict[str, Samples]:
    store, now = context.store, await context.store.now()
    router = await store.subscriptions.current(store.shards[0])
    disabled = {s.id: 1.0 for s in router.listed if s.disabled}
    overflow: dict[str, float] = {}
    for keys in store.shards:
        for target, position in (await store.deliveries.overflow(keys)).items():
            age = max(now - written_at(position), 0.0)
            overflow[target] = max(overflow.get(target, 0.0), age)
    failed = await store.failure_scores.all(now)
    waiting = await store.backlogs.occupied_lanes("deliver", list(failed))
    return {
        "subscriptions": {"enabled": len(router.active), "disabled": len(disabled)},
        "subscription_disabled": _highest(disabled),
        "subscription_overflow_seconds": _highest(overflow),
        "subscription_failing_seconds": _highest(_failing(failed, waiting, router.by_id, now)),
        "circuit_breaker_open": _highest(await _open_breakers(context, failed)),
    }


def _failing(
    failed: Mapping[str, SubscriberHealth],
    waiting: Container[str],
    enabled: Container[str],
    now: float,
) -> dict[str, float]:
    """Seconds since the first failure after the last success, of lanes with something to deliver;
    of callback URLs the longest.
    """
    found: dict[str, float] = {}
    for lane, health in failed.items():
        subscription = _subscription(lane)
        known = subscription == CALLBACK or subscription in enabled
        if health.failures and known and lane in waiting:
            age = max(now - health.since, 0.0)
            found[subscription] = max(found.get(subscription, 0.0), age)
    return found


async def _open_breakers(context: Context, failed: Iterable[str]) -> dict[str, float]:
    """Lanes that failed lately and are paused; callback URLs are counted together."""
    paused = await context.store.backlogs.paused_lanes("deliver")
    found: dict[str, float] = {}
    for lane in paused.intersection(failed):
        subscription = _subscription(lane)
        found[subscription] = found.get(subscription, 0.0) + 1.0
    return found


def _subscription(lane: str) -> str:
    """The value of the label for a lane of deliveries."""
    return lane if lane.startswith("sub_") else CALLBACK


def _highest(samples: Samples) -> Samples:
    """The samples that are not 0, as many as may be shown."""
    ordered = sorted(samples.items(), key=lambda sample: -sample[1])
    return {label: value for label, value in ordered[:MAX_SAMPLES] if value}
