"""Polls all unfinished jobs again, soon: after trouble, or because somebody asks.

A job's next poll is brought forward, never put off: to now, but not sooner than the shortest
interval after the last poll, nor than the provider allows, and only so many a second. A job that is
due anyway stays as it is. So doing this twice costs little, and a walk that was cut off begins again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import structlog

from processor.config import Source
from processor.errors import Conflict
from processor.model import FINAL, Job, State
from processor.service.jobs.decide import poll_item
from processor.service.jobs.query import source_of
from processor.service.runtime.context import Context
from processor.store.change import Change
from processor.store.jobs import JobLookup
from processor.store.keys import Keys
from processor.store.planned_poll import WaitingPoll
from processor.store.work_items import NOW, Claim, Settlement, WorkItem

ALL = "all:"  # begins the item that has all jobs of its lane polled; a job's poll has its name
PAGE = 500  # jobs read and written at once
RATE = 50.0  # polls a second of one source, since not every source has a budget
MAX_TRIES = 3  # commits of a page while subscriptions change

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
    asked, cursor = Asked(), 0
    while True:
        cursor, waiting = await context.store.backlogs.waiting_polls(
            keys, source.name, cursor, PAGE
        )
        found = await _read(context, keys, source, state, waiting)
        now = await context.store.now()
        changes: list[Change] = []
        for number, (poll, lookup, job) in enumerate(found, asked.jobs):
            pause = number * len(context.store.shards) / RATE
            at = max(now + pause, _earliest(source, job, poll, now))
            if at < poll.at:
                items = [poll_item(job, at)]  # asked for: a job's own interval does not hold it up
                changes.append(Change(job=job, version=lookup.version, save=False, items=items))
        await _commit(context, keys, changes)
        asked = Asked(asked.jobs + len(found), asked.sooner + len(changes))
        if cursor == 0:
            return asked


async def _read(
    context: Context,
    keys: Keys,
    source: Source,
    state: State | None,
    waiting: Sequence[WaitingPoll],
) -> list[tuple[WaitingPoll, JobLookup, Job]]:
    """The unfinished jobs of a page, in this state if it is given."""
    polls = [poll for poll in waiting if poll.item.startswith(f"{source.name}/")]
    lookups = await context.store.jobs.read(keys, [poll.item for poll in polls])
    return [
        (poll, lookup, lookup.job)
        for poll, lookup in zip(polls, lookups, strict=True)
        if lookup.job and lookup.job.state not in FINAL and state in (None, lookup.job.state)
    ]


def _earliest(source: Source, job: Job, poll: WaitingPoll, now: float) -> float:
    """When a job may be polled again: the shortest interval after its last poll."""
    rules = source.poll(job.kind)
    first = rules.every[0] if rules else 0.0
    shortest = min(first, job.polling.every or first)
    last = now if poll.interval is None else poll.at - poll.interval
    return max(last + shortest, job.poll_not_before)


async def _commit(context: Context, keys: Keys, changes: Sequence[Change]) -> None:
    """Write them; a job that has changed since it was read keeps the poll that it got then."""
    for again in range(MAX_TRIES if changes else 0):
        router = await context.store.subscriptions.router(keys, fresh=bool(again))
        if await context.store.jobs.commit(keys, router.version, changes) is not None:
            return
