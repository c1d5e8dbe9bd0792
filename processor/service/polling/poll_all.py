"""Polls all unfinished jobs again, soon: after trouble, or because somebody asks.

A job's next poll is brought forward, never put off: to now, but not sooner than the shortest
interval after the last poll, nor than the provider allows, and only so many a second. A poll that is
due anyway stays as it is, and so does one that somebody asked for. So doing this twice costs little,
and a walk that was cut off begins again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import structlog

from processor.config import Source
from processor.errors import Conflict
from processor.model import FINAL, Job, State
from processor.service.jobs.poll_interval import allowed_from, least_gap
from processor.service.jobs.query import source_of
from processor.service.runtime.context import Context
from processor.store.jobs import name_of
from processor.store.keys import Keys
from processor.store.planned_poll import SoonerPoll
from processor.store.work_items import NOW, Claim, Settlement, WorkItem

ALL = "all:"  # begins the item that has all jobs of its lane polled; a job's poll has its name
PAGE = 500  # jobs read and written at once
RATE = 50.0  # polls a second of one source, since not every source has a budget

log = structlog.get_logger()


class PollAllRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which unfinished jobs to poll: all, unless a source or a state is given."""

    source: str | None = None
    state: State | None = None


class Asked(NamedTuple):
    """How many unfinished jobs are polled, and how many of these sooner than planned."""

    jobs: int = 0
    sooner: int = 0


async def enqueue_all(context: Context, trouble: str) -> None:
    """Have all jobs polled by workers; the same trouble is one, whoever notices it."""
    sources = [s for s in context.settings.sources.values() if s.pollable]
    items = [WorkItem("poll", s.name, f"{ALL}{trouble}", NOW, b"0") for s in sources]
    for keys in context.store.shards:
        await context.store.backlogs.enqueue_new(keys, items)


async def run_all(context: Context, source: Source, claim: Claim) -> None:
    """Have the jobs of one source and shard polled, as the claimed item says."""
    asked = await _poll_shard(context, context.store.shards[claim.shard], source)
    log.info("jobs_polled_again", source=source.name, jobs=asked.jobs, sooner=asked.sooner)
    await context.store.backlogs.settle([Settlement(claim)])


async def poll_all(context: Context, request: PollAllRequest) -> int:
    """Have jobs polled; how many. Conflict if those of the named source cannot be polled."""
    sources = list(context.settings.sources.values())
    if request.source is not None:
        sources = [_pollable(source_of(context, request.source))]
    asked = 0
    for source in sources:
        for keys in context.store.shards:
            asked += (await _poll_shard(context, keys, source, request.state)).jobs
    return asked


def _pollable(source: Source) -> Source:
    if not source.pollable:
        why = source.why_not_pollable(next(iter(source.profile.kinds)))
        raise Conflict(f"The jobs of {source.name} cannot be polled: {why}")
    return source


async def _poll_shard(
    context: Context, keys: Keys, source: Source, state: State | None = None
) -> Asked:
    polls, asked, cursor = context.store.polls, Asked(), 0
    while True:
        cursor, items = await polls.waiting(keys, source.name, cursor, PAGE)
        jobs = await _read(context, keys, source, state, items)
        now = await context.store.now()
        pause = len(context.store.shards) / RATE
        sooner = await polls.bring_forward(
            keys,
            source.name,
            [
                SoonerPoll(
                    name_of(job),
                    max(now + number * pause, allowed_from(job, now)),
                    least_gap(job, source),
                )
                for number, job in enumerate(jobs, asked.jobs)
            ],
        )
        asked = Asked(asked.jobs + len(jobs), asked.sooner + sooner)
        if cursor == 0:
            return asked


async def _read(
    context: Context, keys: Keys, source: Source, state: State | None, items: Sequence[str]
) -> list[Job]:
    """The unfinished jobs of a page, in this state if it is given."""
    names = [item for item in items if item.startswith(f"{source.name}/")]
    jobs = [lookup.job for lookup in await context.store.jobs.read(keys, names)]
    return [j for j in jobs if j and j.state not in FINAL and state in (None, j.state)]
