"""The list of all jobs, a page at a time."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from processor import payload
from processor.event_filters import same_json
from processor.model import Job
from processor.service.jobs.query import member, view
from processor.service.runtime.context import Context
from processor.store.jobs import name_of

CURSOR = re.compile(r"([0-9]{1,4})\.(\+inf|[0-9]{1,15})\.([0-9]{1,15})")
MAX_SCANNED = 2000  # jobs read for one page: a page may be short and still have a next
PIECE = 50  # jobs read in one round trip, so that other calls can run in between
PAGE_BYTES = 1024 * 1024  # of records for one page: beyond it a page is short, too


class JobFilter(NamedTuple):
    """Which jobs a list has; None: whichever."""

    source: str | None = None
    state: str | None = None
    metadata: Sequence[tuple[str, str]] = ()  # keys, each with its value as text or as JSON
    group: str | None = None

    def matches(self, job: Job) -> bool:
        """Whether the list has this job, if it is one of the group."""
        if self.source not in (None, job.source) or self.state not in (None, job.state):
            return False
        return all(k in job.metadata and _is(job.metadata[k], text) for k, text in self.metadata)


def _is(value: Any, text: str) -> bool:
    """Whether a value is written so, as text or as JSON."""
    if isinstance(value, str):
        return value == text
    try:
        return same_json(value, msgspec.json.decode(text))
    except msgspec.DecodeError:
        return False


async def jobs(
    context: Context, wanted: JobFilter, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Jobs that match, those with the latest deadline first: mostly the newest.

    A cursor is `shard.score.skip`: the next page starts at that score, after `skip` jobs with it;
    of a group, after `skip` members. ValueError for any other text.
    """
    shard, score, skip = _parse_cursor(cursor)
    if wanted.group is not None:
        return await _of_group(context, wanted.group, wanted, limit, skip)
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
            if lookup.job and wanted.matches(lookup.job):
                found.append(lookup.job)
        polls = await context.store.polls.next_polls(
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


async def _of_group(
    context: Context, group: str, wanted: JobFilter, limit: int, skip: int
) -> dict[str, Any]:
    """The same of a group, in its order."""
    names = list(await context.store.groups.members(group))
    items: list[dict[str, Any]] = []
    while skip < len(names) and len(items) < limit:
        part = names[skip : skip + min(PIECE, limit - len(items))]
        found = await asyncio.gather(*(member(context, name) for name in part))
        shown = [f for f in found if f and wanted.matches(f.job)]
        items += await asyncio.gather(*(view(context, f) for f in shown))
        skip += len(part)
    return {"items": items, "next": f"0.+inf.{skip}" if skip < len(names) else None}


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
