"""What every use case works with."""

import random
from collections.abc import Callable
from typing import NamedTuple

from processor.config import Settings
from processor.egress import Egress
from processor.service.runtime.metrics import Metrics
from processor.store import Store


class Context(NamedTuple):
    """The settings, the store, the HTTP client and the counters; built once a process.

    `deliver_soon`, which only a worker has, starts its delivery pump right after a commit, so that
    new deliveries do not wait for a nudge.
    """

    settings: Settings
    store: Store
    egress: Egress
    metrics: Metrics
    deliver_soon: Callable[[], None] | None = None


def random_unit() -> float:
    """A random number in [0, 1), for jitter."""
    return random.random()  # noqa: S311 -- jitter needs no secrecy
