"""What a replay is to look for, and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from processor import event_filters
from processor.event_filters import Router
from processor.event_types import DISABLED, JOB_TYPES
from processor.model import JobOrder, Subscription
from processor.state_machine import uid_of
from processor.store.events import Logged


class Plan(NamedTuple):
    """Whose events to look for, between which places (a pair a shard), and which of them."""

    target: Subscription
    starts: Sequence[str]
    ends: Sequence[str]
    events: Sequence[str] = ()  # only these types; all that the subscription wants
    source: str | None = None  # only of this one
    failed: bool = False  # only what ended without arriving
    again: bool = False  # what was delivered too
    later: bool = True  # from now on, so that new events come between; else when they were told


class ReplayResult(msgspec.Struct):
    """What became of it.

    `oldest` is the time of the oldest event there is, where older ones were asked for; `gone`
    counts those of them that are known not to have arrived. `next` is the place where to go on.
    """

    queued: int = 0
    pending: int = 0
    delivered_before: int = 0
    gone: int = 0
    oldest: datetime | None = None
    next: str | None = None


class _Data(msgspec.Struct, frozen=True):
    source: str = ""
    provider: str = ""
    metadata: dict[str, Any] = {}
    subscription: str = ""
    sequence: int = 0


class _Event(msgspec.Struct, frozen=True):
    """What of an event's body decides who wants it."""

    data: _Data = _Data()


_read = msgspec.json.Decoder(_Event).decode


def order_in(target: Subscription, event: Logged) -> JobOrder | None:
    """The place of an event in the log among those of its job that a target gets."""
    if not target.ordered or event.type not in JOB_TYPES:
        return None
    return JobOrder(uid_of(event.id), _read(event.body).data.sequence)


class EventMatcher:
    """Whether the subscription of a plan wants an event, by its filter and the plan's."""

    def __init__(self, plan: Plan) -> None:
        """Work out the types."""
        self._plan = plan
        self._router = Router("", [replace(plan.target, disabled=None)])
        self.kinds = event_filters.expand_groups(plan.target.events)
        if plan.events:
            self.kinds &= event_filters.expand_groups(plan.events)

    def __call__(self, event: Logged) -> bool:
        """Nobody is told of its own end."""
        if event.type not in self.kinds:
            return False
        data, source = _read(event.body).data, self._plan.source
        if event.type == DISABLED:
            return source is None and data.subscription != self._plan.target.id
        found = self._router.matching(event.type, data.source, data.provider, data.metadata)
        return bool(found) and source in (None, data.source)
