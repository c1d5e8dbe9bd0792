"""The plan of a replay, which events of the log it delivers, and its result."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from processor import event_filters
from processor.event_filters import EventRouter
from processor.event_types import DISABLED, GROUP_COMPLETED, JOB_TYPES
from processor.model import JobOrder, Subscription
from processor.state_machine import uid_of
from processor.store.events import LoggedEvent


class Plan(NamedTuple):
    """For which subscription to scan the log, between which positions (a pair for each shard), and for
    which events.
    """

    target: Subscription
    starts: Sequence[str]
    ends: Sequence[str]
    events: Sequence[str] = ()  # only these types; empty: all that the subscription wants
    source: str | None = None  # only events of this source
    failed: bool = False  # only dead letters
    again: bool = False  # also what was delivered
    from_now: bool = (
        True  # due from now on, in between new events; else due when they were published
    )


class ReplayResult(msgspec.Struct):
    """What became of the events.

    `oldest` is the time of the oldest event in the log, if older ones were asked for; `gone`
    counts dead letters whose events are no longer in the log. `next` is the cursor to continue from.
    """

    queued: int = 0
    pending: int = 0
    delivered_before: int = 0
    gone: int = 0
    oldest: datetime | None = None
    next: str | None = None


class _Member(msgspec.Struct, frozen=True):
    source: str


class _Data(msgspec.Struct, frozen=True):
    jobs: tuple[_Member, ...] = ()  # of a group, at least one of each source
    source: str = ""
    id: str = ""
    provider: str = ""
    metadata: dict[str, Any] = {}
    subscription: str = ""
    sequence: int = 0


class _Event(msgspec.Struct, frozen=True):
    """The part of an event's body that decides which subscriptions want it."""

    data: _Data = _Data()


_read = msgspec.json.Decoder(_Event).decode


def order_in(target: Subscription, event: LoggedEvent) -> JobOrder | None:
    """The order of an event among those of its job; None if the target does not want them ordered."""
    if not target.ordered or event.type not in JOB_TYPES:
        return None
    return JobOrder(uid_of(event.id), _read(event.body).data.sequence)


def job_of(event: LoggedEvent) -> str | None:
    """The `source/id` of the job that an event is about."""
    if event.type not in JOB_TYPES:
        return None
    data = _read(event.body).data
    return f"{data.source}/{data.id}"


class EventMatcher:
    """Whether a replay wants an event: by the subscription's filter and the plan's."""

    def __init__(self, plan: Plan, providers: Mapping[str, str]) -> None:
        """`providers` has the provider of each source."""
        self._plan = plan
        self._providers = providers
        self._router = EventRouter("", [replace(plan.target, disabled=None)])
        self.types = event_filters.expand_names(plan.target.events)
        if plan.events:
            self.types &= event_filters.expand_names(plan.events)

    def __call__(self, event: LoggedEvent) -> bool:
        """A subscription never receives its own `subscription.disabled` event."""
        if event.type not in self.types:
            return False
        data, source = _read(event.body).data, self._plan.source
        if event.type == DISABLED:
            return source is None and data.subscription != self._plan.target.id
        if event.type == GROUP_COMPLETED:
            return self._wants_group(data)
        found = self._router.matching(event.type, data.source, data.provider, data.metadata)
        return bool(found) and source in (None, data.source)

    def _wants_group(self, data: _Data) -> bool:
        sources = {member.source for member in data.jobs}
        providers = [self._providers[s] for s in sources if s in self._providers]
        found = self._router.matching_group(list(sources), providers, data.metadata)
        return bool(found) and (self._plan.source is None or self._plan.source in sources)
