"""What every use case works with."""

import random
from collections.abc import Callable
from typing import NamedTuple

from processor.config import Settings
from processor.egress import Egress
from processor.service.runtime.metrics import Metrics
from processor.store import Store


class Context(NamedTuple):
    """The settings, the two ways out, and the counters; built once a process.

    `deliver_soon`, where there is one, makes this process deliver what it has just committed,
    without the detour of a nudge.
    """

    settings: Settings
    store: Store
    egress: Egress
    metrics: Metrics
    deliver_soon: Callable[[], None] | None = None


def random_unit() -> float:
    """A random number in [0, 1), for jitter."""
    return random.random()  # noqa: S311 -- jitter is no secret
