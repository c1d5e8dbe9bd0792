"""The list of all jobs, a page at a time."""

import re
from typing import Any

from processor import payload
from processor.service.context import Context
from processor.store.jobs import name_of

_CURSOR = re.compile(r"([0-9]{1,4})\.(\+inf|[0-9]{1,15})\.([0-9]{1,15})")
SCANNED = 2000  # names looked at for one page; a page may so be short and still have a next


async def jobs(
    context: Context, source: str | None, state: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Jobs of a source and state, those with the latest deadline first: mostly the newest.

    The cursor says shard, place and how many there to skip; ValueError if it does not.
    """
    shard, before, skip = _place(cursor)
    items: list[dict[str, Any]] = []
    scanned = 0
    while shard < len(context.store.shards):
        keys = context.store.shards[shard]
        rows = await context.store.jobs.page(keys, before, skip, limit)
        read = [known.job for known in await context.store.jobs.read(keys, [n for n, _ in rows])]
        found = [j for j in read if j and source in (None, j.source) and state in (None, j.state)]
        due = await context.store.backlogs.due_at(
            keys, "poll", [(job.source, name_of(job)) for job in found]
        )
        items += map(payload.view, found, due)
        scanned += len(rows)
        shard, before, skip = _behind(shard, before, skip, rows, limit)
        if len(items) >= limit or scanned >= SCANNED:
            break
    more = shard < len(context.store.shards)
    return {"items": items, "next": f"{shard}.{before}.{skip}" if more else None}


def _place(cursor: str | None) -> tuple[int, str, int]:
    if cursor is None:
        return 0, "+inf", 0
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError(cursor)
    return int(found[1]), found[2], int(found[3])


def _behind(
    shard: int, before: str, skip: int, rows: list[tuple[str, str]], limit: int
) -> tuple[int, str, int]:
    """The place behind a page: the last score, and how many of that score were seen."""
    if len(rows) < limit:
        return shard + 1, "+inf", 0
    last = rows[-1][1]
    same = sum(score == last for _, score in rows)
    return shard, last, same + (skip if last == before else 0)
