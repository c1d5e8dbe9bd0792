"""What one process shares among its connections, so that none of them takes what others need."""

from collections.abc import Callable
from typing import NamedTuple

from processor.web.body_budget import BodyBudget
from processor.web.connection_limit import ConnectionLimit
from processor.web.read_scheduler import ReadScheduler


class ProcessLimits(NamedTuple):
    """The bounds of one process; `closed` counts a connection that was closed, by reason."""

    bodies: BodyBudget
    turns: ReadScheduler
    connections: ConnectionLimit
    closed: Callable[[str], None]
