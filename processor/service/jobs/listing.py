"""The list of all jobs, a page at a time."""

import re
from typing import Any

from processor import payload
from processor.model import Job
from processor.service.runtime.context import Context
from processor.store.jobs import name_of

CURSOR = re.compile(r"([0-9]{1,4})\.(\+inf|[0-9]{1,15})\.([0-9]{1,15})")
MAX_SCANNED = 2000  # jobs read for one page: a page may be short and still have a next
PIECE = 50  # jobs read in one round trip, so that other calls can run in between
PAGE_BYTES = 1024 * 1024  # of records for one page: beyond it a page is short, too


async def jobs(
    context: Context, source: str | None, state: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Jobs of a source and state, those with the latest deadline first: mostly the newest.

    A cursor is `shard.score.skip`: the next page starts at that score, after `skip` jobs with it.
    ValueError for any other text.
    """
    shard, score, skip = _parse_cursor(cursor)
    items: list[dict[str, Any]] = []
    scanned = size = 0
    while shard < len(context.store.shards):
        keys = context.store.shards[shard]
        rows = await context.store.jobs.page(keys, score, skip, PIECE)
        lookups = await context.store.jobs.read(keys, [name for name, _ in rows])
        found: list[Job] = []
        read = 0
        for lookup in lookups:
            if len(items) + len(found) == limit or size > PAGE_BYTES:
                break
            read, size = read + 1, size + lookup.size
            if lookup.job and _matches(lookup.job, source, state):
                found.append(lookup.job)
        polls = await context.store.backlogs.next_polls(
            keys, [(job.source, name_of(job)) for job in found]
        )
        items += [
            payload.view(job, planned and payload.poll_data(job, *planned))
            for job, planned in zip(found, polls, strict=True)
        ]
        scanned += read
        end_of_shard = read == len(rows) < PIECE
        shard, score, skip = (
            (shard + 1, "+inf", 0) if end_of_shard else _after(shard, score, skip, rows[:read])
        )
        if len(items) == limit or scanned >= MAX_SCANNED or size > PAGE_BYTES:
            break
    more = shard < len(context.store.shards)
    return {"items": items, "next": f"{shard}.{score}.{skip}" if more else None}


def _matches(job: Job, source: str | None, state: str | None) -> bool:
    return source in (None, job.source) and state in (None, job.state)


def _parse_cursor(cursor: str | None) -> tuple[int, str, int]:
    if cursor is None:
        return 0, "+inf", 0
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError(cursor)
    return int(found[1]), found[2], int(found[3])


def _after(shard: int, score: str, skip: int, rows: list[tuple[str, str]]) -> tuple[int, str, int]:
    """The cursor after some rows: the last score, and how many rows with it were read."""
    last = rows[-1][1]
    same = sum(row_score == last for _, row_score in rows)
    return shard, last, same + (skip if last == score else 0)
