"""What a commit writes of one job at once: its record, history, events and work items."""

from collections.abc import Sequence

import msgspec

from processor.model import HistoryEntry, Job
from processor.source_statistics import JobEnd
from processor.store.work_items import Claim, WorkItem


class NewEvent(msgspec.Struct, frozen=True):
    """An event to publish, and its deliveries."""

    id: str
    type: str
    body: bytes
    deliveries: Sequence[WorkItem]
    logged: bool = True


class Change(msgspec.Struct, frozen=True):
    """Everything that is written of one job. Without `save` the job's record stays as it is."""

    job: Job
    version: str
    save: bool
    renew: bool = False  # its keys expire at another time than before
    entries: Sequence[tuple[float, HistoryEntry]] = ()
    events: Sequence[NewEvent] = ()
    items: Sequence[WorkItem] = ()
    done: Sequence[Claim] = ()  # claims that end with this
    dropped: Sequence[tuple[str, str, str]] = ()  # (backlog, lane, item) that are not needed now
    answer: bytes | None = None
    end: JobEnd | None = None  # for the statistics of its source
    delay: float | None = None  # seconds from the end of the job until now, if it just ended
