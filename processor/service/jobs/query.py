"""Reads jobs for the API: find, view, history."""

from typing import Any, NamedTuple

from processor import payload
from processor.config import Source
from processor.errors import NotFound
from processor.model import Job
from processor.service.runtime.context import Context
from processor.store.job_lookup import JobLookup
from processor.store.jobs import name_of
from processor.store.keys import Keys


class Found(NamedTuple):
    """A job, and where it is kept."""

    keys: Keys
    lookup: JobLookup
    job: Job


class JobLocation(NamedTuple):
    """Where a job is or would be kept: its shard, its canonical id, and what is stored there."""

    keys: Keys
    id: str
    lookup: JobLookup


async def find(context: Context, source: str, job: str) -> Found:
    """A job by its id or an alias; NotFound if there is none."""
    location = await locate(context, source, job)
    if location.lookup.job is None:
        source_of(context, source)
        raise NotFound(
            f"No job {job!r} at source {source!r} is watched: PUT it first, or `ringback watch` it"
        )
    return Found(location.keys, location.lookup, location.lookup.job)


async def member(context: Context, name: str) -> Found | None:
    """The job that a group or a task names `source/id`; None if it is not watched any more."""
    source, _, job = name.partition("/")
    location = await locate(context, source, job)
    found = location.lookup.job
    return Found(location.keys, location.lookup, found) if found else None


async def locate(context: Context, source: str, job: str) -> JobLocation:
    """What is stored under a name; of an alias, under the id that it leads to."""
    keys = context.store.shard(source, job)
    lookup = await context.store.jobs.find(keys, f"{source}/{job}")
    passed = {job: JobLocation(keys, job, lookup)}
    while lookup.alias_of and lookup.alias_of not in passed:
        job = lookup.alias_of
        keys = context.store.shard(source, job)
        lookup = await context.store.jobs.find(keys, f"{source}/{job}")
        passed[job] = JobLocation(keys, job, lookup)
    if not lookup.alias_of:
        return passed[job]
    names = list(passed)
    circle = names[names.index(lookup.alias_of) :]
    return passed[min(circle)]  # always the same one of its names


async def view(context: Context, found: Found) -> dict[str, Any]:
    """A job as the API shows it."""
    job = found.job
    if job.final:
        return payload.view(job, None)  # a finished job is not polled
    planned = await context.store.polls.next_poll(found.keys, job.source, name_of(job))
    return payload.view(job, planned and payload.poll_data(job, *planned))


def source_of(context: Context, name: str) -> Source:
    """A source by name; NotFound if it is not configured."""
    source = context.settings.sources.get(name)
    if source is None:
        raise NotFound(f"No source {name!r}: it needs a [sources.{name}] in the configuration")
    return source


async def history(context: Context, source: str, job: str) -> list[dict[str, Any]]:
    """What happened to a job, oldest first."""
    found = await find(context, source, job)
    return await context.store.jobs.history(found.keys, name_of(found.job))
