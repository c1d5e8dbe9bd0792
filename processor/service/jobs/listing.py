"""The list of all jobs, a page at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from processor import payload
from processor.event_filters import same_json
from processor.model import FINAL, Job, State
from processor.service.jobs.query import member, view
from processor.service.runtime.context import Context
from processor.store.expiry_list import START, Position
from processor.store.job_lookup import JobLookup
from processor.store.jobs import name_of
from processor.store.keys import Keys

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


class JobPage(NamedTuple):
    """Jobs as the API shows them, and the position after which the next page starts, if any."""

    items: list[dict[str, Any]]
    next: Position | None


async def jobs(
    context: Context,
    wanted: JobFilter,
    limit: int,
    after: Position = START,
    most: int = MAX_SCANNED,
) -> JobPage:
    """Jobs that match, those with the latest deadline first: mostly the newest. At most `most` jobs
    are looked at. In a group a position is the number of members before it.
    """
    if wanted.group is not None:
        return await _of_group(context, wanted.group, wanted, limit, after)
    items: list[dict[str, Any]] = []
    scanned = size = 0
    needles, piece = wanted.needles(), min(FIRST_PIECE, limit)
    while True:
        rows = await context.store.jobs.listed(after, piece)
        lookups = await _read(context, wanted, needles, [name for _, name in rows])
        found: list[Job] = []
        read = 0
        for lookup in lookups:
            if len(items) + len(found) == limit or size > PAGE_BYTES:
                break
            read, size = read + 1, size + lookup.size
            if lookup.job and wanted.matches(lookup.job):
                found.append(lookup.job)
        items += await _views(context, found)
        scanned += read
        if read == len(rows) < piece:
            return JobPage(items, None)
        after = rows[read - 1]
        if len(items) == limit or scanned >= most or size > PAGE_BYTES:
            return JobPage(items, after)
        piece = min(_next_piece(scanned, size), most - scanned)
        if len(items) == scanned:  # all match: no more are needed than the page has room for
            piece = min(piece, limit - len(items))


async def _read(
    context: Context, wanted: JobFilter, needles: Sequence[bytes], names: Sequence[str]
) -> list[JobLookup]:
    """What is under these names; nothing where the list cannot have it."""
    of_shards: dict[Keys, list[str]] = {}
    for name in filter(wanted.reads, names):
        of_shards.setdefault(_shard(context, name), []).append(name)
    found: dict[str, JobLookup] = {}
    for keys, asked in of_shards.items():
        rows = await context.store.jobs.read(
            keys, asked, lambda record: all(needle in record for needle in needles)
        )
        found |= zip(asked, rows, strict=True)
    return [found.get(name, NO_JOB) for name in names]


def _shard(context: Context, name: str) -> Keys:
    source, _, job = name.partition("/")
    return context.store.shard(source, job)


async def _views(context: Context, found: Sequence[Job]) -> list[dict[str, Any]]:
    """Jobs with their next polls, which are read in one round trip for each shard."""
    asked = ((_shard(context, name_of(job)), job.source, name_of(job)) for job in found)
    polls = await asyncio.gather(*(context.store.polls.next_poll(*one) for one in asked))
    return [
        payload.view(job, planned and payload.poll_data(job, *planned))
        for job, planned in zip(found, polls, strict=True)
    ]


def _next_piece(scanned: int, size: int) -> int:
    """How many jobs to read next: about as many as fill the page, if they are like those before."""
    fitting = (PAGE_BYTES - size) * scanned // max(size, 1)
    return min(PIECE, max(FIRST_PIECE, fitting))


async def _of_group(
    context: Context, group: str, wanted: JobFilter, limit: int, after: Position
) -> JobPage:
    """The same of a group, in its order."""
    record = (await context.store.groups.read(group)).group
    names = await context.store.groups.names(record) if record else ()
    items: list[dict[str, Any]] = []
    skip = int(min(max(after[0], 0), len(names)))
    last = min(len(names), skip + MAX_SCANNED)
    while skip < last and len(items) < limit:
        part = names[skip : min(last, skip + min(FIRST_PIECE, limit - len(items)))]
        found = await asyncio.gather(*(member(context, name) for name in part))
        shown = [f for f in found if f and wanted.matches(f.job)]
        items += await asyncio.gather(*(view(context, f) for f in shown))
        skip += len(part)
    return JobPage(items, (skip, "") if skip < len(names) else None)
