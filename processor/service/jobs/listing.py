"""The list of all jobs, a page at a time."""

import re
from typing import Any

from processor import payload
from processor.model import Job
from processor.service.runtime.context import Context
from processor.store.jobs import name_of

CURSOR = re.compile(r"([0-9]{1,4})\.(\+inf|[0-9]{1,15})\.([0-9]{1,15})")
SCANNED = 2000  # names looked at for one page; a page may so be short and still have a next
PIECE = 50  # jobs read in one round trip, so that other calls have their turn in between
PAGE_BYTES = 1024 * 1024  # of records in one page; beyond it a page is short, too


async def jobs(
    context: Context, source: str | None, state: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Jobs of a source and state, those with the latest deadline first: mostly the newest.

    The cursor says shard, place and how many there to skip; ValueError if it does not.
    """
    shard, before, skip = _place(cursor)
    items: list[dict[str, Any]] = []
    scanned = size = 0
    while shard < len(context.store.shards):
        keys = context.store.shards[shard]
        rows = await context.store.jobs.page(keys, before, skip, PIECE)
        read = await context.store.jobs.read(keys, [name for name, _ in rows])
        found: list[Job] = []
        taken = 0
        for known in read:
            if len(items) + len(found) == limit or size > PAGE_BYTES:
                break
            taken, size = taken + 1, size + known.size
            if known.job and _wanted(known.job, source, state):
                found.append(known.job)
        due = await context.store.backlogs.due_at(
            keys, "poll", [(job.source, name_of(job)) for job in found]
        )
        items += map(payload.view, found, due)
        scanned += taken
        end_of_shard = taken == len(rows) < PIECE
        shard, before, skip = (
            (shard + 1, "+inf", 0) if end_of_shard else _behind(shard, before, skip, rows[:taken])
        )
        if len(items) == limit or scanned >= SCANNED or size > PAGE_BYTES:
            break
    more = shard < len(context.store.shards)
    return {"items": items, "next": f"{shard}.{before}.{skip}" if more else None}


def _wanted(job: Job, source: str | None, state: str | None) -> bool:
    return source in (None, job.source) and state in (None, job.state)


def _place(cursor: str | None) -> tuple[int, str, int]:
    if cursor is None:
        return 0, "+inf", 0
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError(cursor)
    return int(found[1]), found[2], int(found[3])


def _behind(
    shard: int, before: str, skip: int, rows: list[tuple[str, str]]
) -> tuple[int, str, int]:
    """The place behind some rows: the last score, and how many of that score were seen."""
    last = rows[-1][1]
    same = sum(score == last for _, score in rows)
    return shard, last, same + (skip if last == before else 0)
