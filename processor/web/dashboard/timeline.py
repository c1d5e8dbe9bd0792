"""The timeline of a job: its history, where many updates that changed no state are one part."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

Entry = Mapping[str, Any]
FEW = 3  # updates in a row that are shown one by one


def timeline(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries in parts, in the same order: a part is one entry, or more than FEW in a row that
    left the state as it was.
    """
    parts: list[list[Entry]] = []
    for steady, found in groupby(entries, _is_steady):
        run = list(found)
        parts += [run] if steady and len(run) > FEW else [[entry] for entry in run]
    return parts


def _is_steady(entry: Entry) -> bool:
    return not entry.get("ignored") and entry["was"] == entry["state"] and not entry.get("flags")
