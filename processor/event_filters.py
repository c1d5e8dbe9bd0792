"""Event filters: which subscriptions want which event."""

from collections.abc import Iterable, Sequence
from typing import Any

from processor.event_types import GROUP_COMPLETED, JOB_TYPES, TYPES_BY_NAME
from processor.model import Subscription


def expand_names(names: Iterable[str]) -> frozenset[str]:
    """The event types of a filter, with the names expanded that stand for several."""
    return frozenset(kind for name in names for kind in TYPES_BY_NAME.get(name, (name,)))


class EventRouter:
    """Finds the subscriptions that want an event, for one version of all subscriptions.

    The matches by type and source are cached; only job metadata is compared for each event.
    """

    def __init__(self, version: str, subscriptions: Iterable[Subscription]) -> None:
        """Disabled subscriptions never match."""
        self.version = version
        self.listed = list(subscriptions)
        self.active = [s for s in self.listed if not s.disabled]
        self.by_id = {s.id: s for s in self.active}
        self._known: dict[tuple[str, str], tuple[Sequence[Subscription], bool]] = {}
        self._fan_out: dict[str, int] = {}

    def matching(
        self, kind: str, source: str, provider: str, metadata: dict[str, Any]
    ) -> Sequence[Subscription]:
        """The subscriptions that want this event."""
        known = self._known.get((kind, source))
        if known is None:
            wanting = [s for s in self.active if _wants(s, kind, source, provider)]
            known = self._known[kind, source] = wanting, any(s.metadata for s in wanting)
        found, by_metadata = known
        if by_metadata:
            return [s for s in found if not s.metadata or _equal(s.metadata, metadata)]
        return found

    def matching_group(
        self, sources: Sequence[str], providers: Sequence[str], metadata: dict[str, Any]
    ) -> list[Subscription]:
        """The subscriptions that want to know that a group with members of these sources ended."""
        return [
            s
            for s in self.matching_type(GROUP_COMPLETED)
            if (not s.sources or not set(sources).isdisjoint(s.sources))
            and (not s.providers or not set(providers).isdisjoint(s.providers))
            and (not s.metadata or _equal(s.metadata, metadata))
        ]

    def fan_out(self, source: str) -> int:
        """How many subscriptions may want events of a source's jobs, at most."""
        found = self._fan_out.get(source)
        if found is None:
            found = self._fan_out[source] = sum(_may_want(s, source) for s in self.active)
        return found

    def matching_type(self, kind: str) -> list[Subscription]:
        """The subscriptions that want an event of no job: only their types decide."""
        return [s for s in self.active if kind in expand_names(s.events)]


def _may_want(s: Subscription, source: str) -> bool:
    return (not s.sources or source in s.sources) and not expand_names(s.events).isdisjoint(
        JOB_TYPES
    )


def _wants(s: Subscription, kind: str, source: str, provider: str) -> bool:
    return (
        kind in expand_names(s.events)
        and (not s.sources or source in s.sources)
        and (not s.providers or provider in s.providers)
    )


def _equal(wanted: dict[str, Any], metadata: dict[str, Any]) -> bool:
    return all(key in metadata and same_json(metadata[key], value) for key, value in wanted.items())


def same_json(one: Any, other: Any) -> bool:
    """Equal as JSON, at any depth: to Python, true is 1."""
    if one != other:
        return False
    kind = type(one)
    if kind is dict:
        return all(same_json(value, other[key]) for key, value in one.items())
    if kind is list:
        return all(map(same_json, one, other))
    return (kind is bool) is (type(other) is bool)
