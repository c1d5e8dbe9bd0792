"""Which events of the log a caller wants to read: by type, source or job; and a page of them."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from processor.errors import InvalidValue
from processor.event_filters import expand_names
from processor.event_types import FILTER_NAMES
from processor.store.events import Events, LoggedEvent

MAX_SCANNED = 10_000  # events that one page reads to find the selected ones
PIECE = 500  # events read at once, fewer if they are large


class _Member(msgspec.Struct, frozen=True):
    source: str
    id: str


class _Data(msgspec.Struct, frozen=True):
    source: str = ""
    id: str = ""
    jobs: tuple[_Member, ...] = ()  # of a group


class _Event(msgspec.Struct, frozen=True):
    """The part of an event's body that says what it is about."""

    data: _Data = _Data()


_read = msgspec.json.Decoder(_Event).decode


class Selection(NamedTuple):
    """What an event must have; nothing is asked of it if all of this is empty.

    An event of a group is about each of its jobs.
    """

    types: frozenset[str] = frozenset()
    source: str | None = None
    job: str | None = None  # `source/id`

    @classmethod
    def of(cls, types: list[str], source: str | None, job: str | None) -> "Selection":
        """The selection of a call; InvalidValue for an unknown type, or a job without its source."""
        for name in types:
            if name not in FILTER_NAMES:
                known = ", ".join(FILTER_NAMES)
                raise InvalidValue(f"type: {name!r} is not known; use one of {known}")
        if job is not None and not all(job.partition("/")):
            raise InvalidValue(f"job: {job!r} is not `source/id`")
        return cls(expand_names(types), source, job)

    @property
    def all(self) -> bool:
        """Whether every event is selected."""
        return not any(self)

    def size(self, most: int, scanned: int) -> int:
        """How many events to read next for a page of `most` selected ones."""
        return most if self.all else min(PIECE, MAX_SCANNED - scanned)

    def of_events(self, events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
        """Those of the events that are selected."""
        return [event for event in events if self._wants(event)]

    def _wants(self, event: LoggedEvent) -> bool:
        if self.types and event.type not in self.types:
            return False
        if self.source is None and self.job is None:
            return True
        data = _read(event.body).data
        about = [(data.source, data.id), *((member.source, member.id) for member in data.jobs)]
        sources, jobs = {source for source, _ in about}, {f"{s}/{i}" for s, i in about}
        return self.source in {None, *sources} and self.job in {None, *jobs}


class Page(NamedTuple):
    """Selected events, the oldest first, and the cursor of the next page."""

    events: list[LoggedEvent]
    next: str | None


async def page(store: Events, positions: list[str], select: Selection, most: int) -> Page:
    """The first `most` selected events after these positions.

    It reads at most MAX_SCANNED events, so it may be short and still have a `next`.
    """
    found: list[LoggedEvent] = []
    scanned = 0
    while scanned < MAX_SCANNED:
        events = await store.page(positions, select.size(most, scanned))
        for event in events:
            found += select.of_events([event])
            if len(found) == most:
                return Page(found, event.cursor)
        if not events:
            return Page(found, None)
        scanned += len(events)
        positions = store.read_cursor(events[-1].cursor)
    return Page(found, store.cursor(positions))


async def newest(store: Events, select: Selection, most: int) -> Page:
    """The last `most` selected events, of the last MAX_SCANNED ones."""
    found: list[LoggedEvent] = []
    scanned, positions = 0, None
    while scanned < MAX_SCANNED and len(found) < most:
        events, positions = await store.page_back(positions, select.size(most, scanned))
        if not events:
            break
        found += select.of_events(events)
        scanned += len(events)
    return Page(found[:most][::-1], None)
