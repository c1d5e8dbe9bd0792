"""The limits of one process that all its connections share: bytes in flight, reading, connections."""

from collections.abc import Callable
from typing import NamedTuple

from processor.web.body_budget import BodyBudget
from processor.web.connection_limit import ConnectionLimit
from processor.web.read_scheduler import ReadScheduler


class ProcessLimits(NamedTuple):
    """The limits of one process; `closed` counts a connection that was closed, by reason."""

    bodies: BodyBudget
    turns: ReadScheduler
    connections: ConnectionLimit
    closed: Callable[[str], None]
