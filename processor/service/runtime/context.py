"""What every use case works with."""

import random
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from processor.config import Settings
from processor.egress import Egress
from processor.event_filters import EventRouter
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.tracing import NO_TRACER, Tracer
from processor.store import Store
from processor.store.change import NewEvent
from processor.store.keys import Keys
from processor.store.work_items import Claim, Room


class Handover(Protocol):
    """Takes deliveries right from the commit that made them, as far as their worker has room."""

    def room(self, deliveries: int) -> AbstractAsyncContextManager[Room | None]:
        """Room for so many deliveries, which is kept free until the end of the context."""

    def start(
        self, claims: Sequence[Claim], events: Sequence[NewEvent], router: EventRouter
    ) -> None:
        """Start what a commit claimed; it published these events, to these subscriptions."""


class Committer(Protocol):
    """Commits updates that come one by one together with others."""

    async def add(self, keys: Keys, incoming: Any) -> None:
        """Take a job through a claimed update (an IncomingUpdate)."""


class Context(NamedTuple):
    """The settings, the store, the HTTP client, the counters, the tracer; built once a process.

    Only a worker has the others: `handover` takes the deliveries that it commits, and `committer`
    the answers to its polls.
    """

    settings: Settings
    store: Store
    egress: Egress
    metrics: Metrics
    tracer: Tracer = NO_TRACER
    handover: Handover | None = None
    committer: Committer | None = None


def random_unit() -> float:
    """A random number in [0, 1), for jitter."""
    return random.random()  # noqa: S311 -- jitter needs no secrecy
