"""Prometheus counters of one process; workers send theirs to the web with their heartbeat."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from processor.event_types import GROUP_COMPLETED
from processor.provider import IgnoredPart
from processor.store.change import Change

OUTCOMES = ("accepted", "duplicate", "ignored", "unreadable", "held")  # of updates in pushes
DELIVERY_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1, 5, 15)
DELAY_BUCKETS = (1, 5, 15, 60, 300, 1800)
MAX_SUBSCRIPTIONS = 100  # that a process counts by id, the first that it sees
OTHER = "other"  # stands for the rest of them
CALLBACK = "callback"  # stands for all callback URLs of jobs


class Metrics:
    """The counters of one process.

    Labels are bounded: sources, event types, outcomes, so many subscriptions.
    """

    def __init__(self) -> None:
        """Each has its own registry, so that a test can have several."""
        self.registry = CollectorRegistry()
        self.pushes = self._counter("pushes", "Updates in pushes", "source", "outcome")
        self.pushes_ignored = self._counter(
            "pushes_ignored", "Parts of pushes that are not about a job", "source", "reason", "at"
        )
        self.refused = self._counter(
            "pushes_refused", "Refused pushes, by answer", "source", "status"
        )
        self.connections_closed = self._counter(
            "connections_closed", "Connections closed to protect the others", "reason"
        )
        self.updates = self._counter(
            "updates", "Updates applied to jobs", "source", "origin", "outcome"
        )
        self.flags = self._counter("update_flags", "Unusual updates", "source", "flag")
        self.events = self._counter("events", "Published events", "type")
        self.groups = self._counter("groups", "Groups that ended, by state", "state")
        self.polls = self._counter("polls", "Polls, by outcome", "source", "outcome")
        self.pushes_lost = self._counter(
            "pushes_lost", "Ends that a poll found, and of which no push came", "source"
        )
        self.lateness = self._histogram("poll_lateness", "How late polls began", "source")
        self.detection = self._histogram(
            "detection_delay", "From the end of a job to its event", "source", "origin"
        )
        self.attempts = self._counter(
            "delivery_attempts", "Attempts to deliver", "subscription", "outcome"
        )
        self.dead_letters = self._counter(
            "dead_letters", "Deliveries that ended undelivered", "subscription", "outcome"
        )
        self._by_id: set[str] = set()  # subscriptions that are counted by id
        self.orphans = self._counter(
            "orphan_updates", "Updates of sources that are not in the configuration", "source"
        )
        self.orphans_expired = self._counter(
            "orphans_expired", "Held updates of jobs that nobody registered in time", "source"
        )
        self.replacements = self._counter(
            "redis_replaced", "How often this process found Redis' data replaced", "what"
        )
        self.seconds = Histogram(
            "ringback_delivery_seconds",
            "How long subscribers took to answer",
            buckets=DELIVERY_BUCKETS,
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Callable[..., Counter]:
        """A counter by the values of its labels, each of which is looked up once."""
        return cache(Counter(f"ringback_{name}", text, labels, registry=self.registry).labels)

    def _histogram(self, name: str, text: str, *labels: str) -> Callable[..., Histogram]:
        """The same for a histogram of seconds."""
        found = Histogram(
            f"ringback_{name}_seconds", text, labels, buckets=DELAY_BUCKETS, registry=self.registry
        )
        return cache(found.labels)

    def _subscription(self, target: str) -> str:
        """The label of a subscription or callback target."""
        if target in self._by_id:
            return target
        if target.startswith("cb_"):
            return CALLBACK
        if len(self._by_id) >= MAX_SUBSCRIPTIONS:
            return OTHER
        self._by_id.add(target)
        return target

    def committed(self, changes: Sequence[Change]) -> None:
        """Count what was written: all that is alike at once."""
        rows = [
            (c.job.source, e.origin, e.ignored or "taken", e.flags)
            for c in changes
            for _, e in c.entries
        ]
        for (source, origin, outcome, flags), number in Tally(rows).items():
            self.updates(source, origin, outcome).inc(number)
            for flag in flags:
                self.flags(source, flag).inc(number)
        for kind, number in Tally([e.type for c in changes for e in c.events]).items():
            self.events(kind).inc(number)
        for change in changes:
            if change.delay is not None and change.job.origin:
                self.detection(change.job.source, change.job.origin).observe(change.delay)

    def group_ended(self, state: str) -> None:
        """Count a group that ended, and its event."""
        self.groups(state).inc()
        self.events(GROUP_COMPLETED).inc()

    def pushed(self, source: str, counts: Sequence[int | None]) -> None:
        """Count the updates of one push, by their outcomes in the order of `OUTCOMES`."""
        for outcome, count in zip(OUTCOMES, counts, strict=True):
            if count:
                self.pushes(source, outcome).inc(count)

    def ignored(self, source: str, parts: Iterable[IgnoredPart]) -> None:
        """Count parts of a push that are not about a job, by reason and place in the profile."""
        for part in parts:
            self.pushes_ignored(source, part.reason, part.at).inc()

    def closed(self, reason: str) -> None:
        """Count a connection that was closed."""
        self.connections_closed(reason).inc()

    def polled(self, source: str, outcome: str) -> None:
        """Count one poll."""
        self.polls(source, outcome).inc()

    def late(self, source: str, seconds: float) -> None:
        """Count a poll that began so late."""
        self.lateness(source).observe(seconds)

    def lost(self, source: str, pushes: int) -> None:
        """Count pushes that never came."""
        if pushes:
            self.pushes_lost(source).inc(pushes)

    def orphan(self, source: str) -> None:
        """Count an update whose source is not in the configuration."""
        self.orphans(source).inc()

    def expired(self, source: str, count: int) -> None:
        """Count held updates whose time was up."""
        self.orphans_expired(source).inc(count)

    def replaced(self, what: str) -> None:
        """Count one time that Redis' data was replaced."""
        self.replacements(what).inc()

    def attempted(self, target: str, outcome: str, seconds: float) -> None:
        """Count one attempt to deliver."""
        self.attempts(self._subscription(target), outcome).inc()
        self.seconds.observe(seconds)

    def sealed(self, target: str) -> None:
        """Count a delivery that was postponed, since its secret cannot be decrypted."""
        self.attempts(self._subscription(target), "sealed").inc()

    def dead_letter(self, target: str, outcome: str) -> None:
        """Count a delivery that ended undelivered."""
        self.dead_letters(self._subscription(target), outcome).inc()

    def dump(self) -> str:
        """All samples, for the heartbeat."""
        families = [
            (m.name, m.documentation, m.type, [(s.name, s.labels, s.value) for s in m.samples])
            for m in self.registry.collect()
        ]
        return msgspec.json.encode(families).decode()


class RemoteMetrics(Collector):
    """The samples that other processes sent, each with the name of its process."""

    def __init__(self, dumps: Sequence[tuple[str, str]]) -> None:
        """`dumps` are (process, dump) pairs."""
        self._dumps = dumps

    def collect(self) -> Iterable[Metric]:
        """Every family once, with the samples of all processes."""
        families: dict[str, Metric] = {}
        for process, dump in self._dumps:
            rows: list[Any] = msgspec.json.decode(dump)
            for name, text, kind, samples in rows:
                family = families.setdefault(name, Metric(name, text, kind))
                for sample, labels, value in samples:
                    family.add_sample(sample, {**labels, "process": process}, value)
        return families.values()
