"""Where the updates of each source come from, and how late its ends are known: from the counters."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from processor.service.runtime.metrics import RemoteMetrics

UPDATES = "ringback_updates_total"
DELAY = "ringback_detection_delay_seconds"


class ByOrigin(NamedTuple):
    """What one origin (push, poll, …) has told of a source, since the processes began."""

    origin: str
    share: float  # of the updates that changed something
    delay: float | None  # from the end of a job to its event, in seconds, in the mean


def by_origin(dumps: Sequence[tuple[str, str]]) -> dict[str, list[ByOrigin]]:
    """The origins of each source, the most frequent first; `dumps` are those of all processes."""
    sums: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for family in RemoteMetrics(dumps).collect():
        for sample in family.samples:
            labels = sample.labels
            changed = labels.get("outcome", "taken") == "taken"
            if changed and "origin" in labels:
                sums[labels["source"], labels["origin"]][sample.name] += sample.value
    totals: dict[str, float] = defaultdict(float)
    for (source, _), found in sums.items():
        totals[source] += found[UPDATES]
    rows: dict[str, list[ByOrigin]] = defaultdict(list)
    for (source, origin), found in sorted(sums.items(), key=lambda row: -row[1][UPDATES]):
        if found[UPDATES]:
            count = found[f"{DELAY}_count"]
            delay = found[f"{DELAY}_sum"] / count if count else None
            rows[source].append(ByOrigin(origin, found[UPDATES] / totals[source], delay))
    return rows
