"""The list of all jobs, a page at a time."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from processor import payload
from processor.event_filters import same_json
from processor.model import FINAL, Job, State
from processor.service.jobs.query import member, view
from processor.service.runtime.context import Context
from processor.store.job_lookup import JobLookup
from processor.store.jobs import name_of
from processor.store.keys import Keys

CURSOR = re.compile(r"([0-9]{1,4})\.(\+inf|[0-9]{1,15})\.([0-9]{1,15})")
MAX_SCANNED = 2000  # jobs looked at for one page: a page may be short and still have a next
FIRST_PIECE, PIECE = 50, 400  # jobs read in one round trip: more if the first show no match
NO_JOB = JobLookup()
PAGE_BYTES = 1024 * 1024  # of records for one page: beyond it a page is short, too


class JobFilter(NamedTuple):
    """Which jobs a list has; None: whichever."""

    source: str | None = None
    state: str | None = None
    metadata: Sequence[tuple[str, str]] = ()  # keys, each with its value as text or as JSON
    group: str | None = None
    live: bool = False  # only unfinished ones

    def reads(self, name: str) -> bool:
        """Whether the record of a job `source/id` must be read to know whether the list has it."""
        return self.source is None or name.startswith(f"{self.source}/")

    def needles(self) -> list[bytes]:
        """What the record of every job of the list contains; most other records do not."""
        named = (
            [] if self.state in (None, State.QUEUED) else [b'"state":"%b"' % self.state.encode()]
        )
        texts = [text for _, text in self.metadata if not _as_json(text)]
        return named + list(map(msgspec.json.encode, [key for key, _ in self.metadata] + texts))

    def matches(self, job: Job) -> bool:
        """Whether the list has this job, if it is one of the group."""
        if self.source not in (None, job.source) or self.state not in (None, job.state):
            return False
        if self.live and job.state in FINAL:
            return False
        return all(k in job.metadata and _is(job.metadata[k], text) for k, text in self.metadata)


def _is(value: Any, text: str) -> bool:
    """Whether a value is written so, as text or as JSON."""
    return value == text or any(same_json(value, one) for one in _as_json(text))


def _as_json(text: str) -> list[Any]:
    """The value of a text that is JSON; empty for any other text."""
    try:
        return [msgspec.json.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        return []


async def jobs(
    context: Context,
    wanted: JobFilter,
    limit: int,
    cursor: str | None,
    most: int = MAX_SCANNED,
) -> dict[str, Any]:
    """Jobs that match, those with the latest deadline first: mostly the newest. At most `most` jobs
    are looked at.

    A cursor is `shard.score.skip`: the next page starts at that score, after `skip` jobs with it;
    of a group, after `skip` members. ValueError for any other text.
    """
    shard, score, skip = _parse_cursor(cursor)
    if wanted.group is not None:
        return await _of_group(context, wanted.group, wanted, limit, skip)
    items: list[dict[str, Any]] = []
    scanned = size = 0
    needles, piece = wanted.needles(), min(FIRST_PIECE, limit)
    while shard < len(context.store.shards):
        keys = context.store.shards[shard]
        rows = await context.store.jobs.page(keys, score, skip, piece)
        lookups = await _read(context, keys, wanted, needles, [name for name, _ in rows])
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
        end_of_shard = read == len(rows) < piece
        shard, score, skip = (
            (shard + 1, "+inf", 0) if end_of_shard else _after(shard, score, skip, rows[:read])
        )
        if len(items) == limit or scanned >= most or size > PAGE_BYTES:
            break
        piece = min(_next_piece(scanned, size), most - scanned)
        if len(items) == scanned:  # all match: no more are needed than the page has room for
            piece = min(piece, limit - len(items))
    more = shard < len(context.store.shards)
    return {"items": items, "next": f"{shard}.{score}.{skip}" if more else None}


async def _read(
    context: Context, keys: Keys, wanted: JobFilter, needles: Sequence[bytes], names: Sequence[str]
) -> list[JobLookup]:
    """What is under these names; nothing where the list cannot have it."""
    asked = [name for name in names if wanted.reads(name)]
    rows = await context.store.jobs.read(
        keys, asked, lambda record: all(needle in record for needle in needles)
    )
    found = dict(zip(asked, rows, strict=True))
    return [found.get(name, NO_JOB) for name in names]


def _next_piece(scanned: int, size: int) -> int:
    """How many jobs to read next: about as many as fill the page, if they are like those before."""
    fitting = (PAGE_BYTES - size) * scanned // max(size, 1)
    return min(PIECE, max(FIRST_PIECE, fitting))


async def _of_group(
    context: Context, group: str, wanted: JobFilter, limit: int, skip: int
) -> dict[str, Any]:
    """The same of a group, in its order."""
    record = (await context.store.groups.read(group)).group
    names = await context.store.groups.names(record) if record else ()
    items: list[dict[str, Any]] = []
    last = min(len(names), skip + MAX_SCANNED)
    while skip < last and len(items) < limit:
        part = names[skip : min(last, skip + min(FIRST_PIECE, limit - len(items)))]
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
