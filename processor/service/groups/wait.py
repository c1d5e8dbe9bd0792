"""Waits for jobs and groups: for all of them, or for the first one that ends."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from processor.group import Group, GroupState
from processor.model import FINAL, Job
from processor.service.events.tail import Tailer
from processor.service.groups import query as groups_query
from processor.service.jobs import query as jobs_query
from processor.service.jobs.poll_sooner import poll_sooner
from processor.service.jobs.query import Found
from processor.service.runtime.context import Context
from processor.service.runtime.in_parts import in_parts
from processor.store.keys import Keys

Name = tuple[str, str]  # source, id
TOGETHER = 50  # jobs that one wait reads at the same time: other calls are answered in between


class Waited(NamedTuple):
    """The jobs and groups that somebody waits for, as they are now."""

    jobs: list[Found]
    groups: list[Group]

    def unfinished(self) -> list[str]:
        """The uids under which the log of events names those that have not ended."""
        jobs = [found.job.uid for found in self.jobs if found.job.state not in FINAL]
        groups = [f"g{g.uid}" for g in self.groups if g.state is GroupState.RUNNING]
        return [*jobs, *groups]

    def polled(self) -> list[tuple[Keys, Job]]:
        """The jobs, each with the keys of its shard."""
        return [(found.keys, found.job) for found in self.jobs]

    def done(self, *, first: bool) -> bool:
        """Whether all have ended, or (`first`) one of them."""
        left = len(self.unfinished())
        return left < len(self.jobs) + len(self.groups) if first else not left


async def wait(
    context: Context,
    tailer: Tailer,
    jobs: Sequence[Name],
    groups: Sequence[str],
    *,
    first: bool,
    seconds: float,
) -> Waited:
    """Wait until all have ended, or (`first`) one has, or so many seconds; NotFound if one is unknown.

    A waiter reads before and after, and nothing in between. It keeps little meanwhile, since
    thousands may wait.
    """
    time = asyncio.get_running_loop().time
    deadline = time() + seconds
    found = await read(context, jobs, groups)
    while not found.done(first=first) and not tailer.released and time() < deadline:
        names = found.unfinished()
        with tailer.waiter(names, first=first) as waiter:
            await tailer.follow()
            found = await read(context, jobs, groups)
            if found.unfinished() != names:
                continue  # one has ended before we listened
            await poll_sooner(context, found.polled(), deadline - time())
            del found
            waiter.end_at(deadline)
            await waiter.done
        found = await read(context, jobs, groups)
    return found


async def wait_for_job(context: Context, tailer: Tailer, job: Name, seconds: float) -> Found:
    """A job once it has ended, or as it is after so many seconds; NotFound if it is unknown."""
    found = await wait(context, tailer, [job], [], first=False, seconds=seconds)
    return found.jobs[0]


async def view(context: Context, waited: Waited, *, first: bool) -> dict[str, Any]:
    """What a wait for jobs has come to, as the API shows it."""
    jobs = await in_parts(partial(jobs_query.view, context), waited.jobs, TOGETHER)
    return {"done": waited.done(first=first), "jobs": jobs}


async def read(context: Context, jobs: Sequence[Name], groups: Sequence[str] = ()) -> Waited:
    """Jobs and groups as they are now; NotFound if one is unknown."""
    return Waited(
        await in_parts(lambda name: jobs_query.find(context, *name), jobs, TOGETHER),
        await in_parts(partial(groups_query.find, context), groups, TOGETHER),
    )
