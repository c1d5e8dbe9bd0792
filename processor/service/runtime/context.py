"""What every use case works with."""

import random
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from processor.config import Settings
from processor.egress import Egress
from processor.event_filters import EventRouter
from processor.service.runtime.metrics import Metrics
from processor.store import Store
from processor.store.change import NewEvent
from processor.store.work_items import Claim, Room


class Handover(Protocol):
    """Takes deliveries right from the commit that made them, as far as their worker has room."""

    def room(self, deliveries: int) -> AbstractAsyncContextManager[Room | None]:
        """Room for so many deliveries, which is kept free until the end of the context."""

    def start(
        self, claims: Sequence[Claim], events: Sequence[NewEvent], router: EventRouter
    ) -> None:
        """Start what a commit claimed; it published these events, to these subscriptions."""


class Context(NamedTuple):
    """The settings, the store, the HTTP client and the counters; built once a process.

    `handover`, which only a worker has, takes the deliveries that it commits.
    """

    settings: Settings
    store: Store
    egress: Egress
    metrics: Metrics
    handover: Handover | None = None


def random_unit() -> float:
    """A random number in [0, 1), for jitter."""
    return random.random()  # noqa: S311 -- jitter needs no secrecy
