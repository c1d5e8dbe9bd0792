"""Jobs as callers see them: find, look, wait, read what happened."""

import asyncio
from typing import Any, NamedTuple

from processor import payload
from processor.config import Source
from processor.errors import NotFound
from processor.model import FINAL, Job
from processor.service.events.tail import Tailer
from processor.service.runtime.context import Context
from processor.store.jobs import JobLookup, name_of
from processor.store.keys import Keys


class Found(NamedTuple):
    """A job, and where it was found."""

    keys: Keys
    known: JobLookup
    job: Job


class Place(NamedTuple):
    """Where a job is kept or would be: its canonical id, and what stands there."""

    keys: Keys
    id: str
    known: JobLookup


async def find(context: Context, source: str, job: str) -> Found:
    """A job by its id or an alias; NotFound if there is none."""
    place = await look(context, source, job)
    if place.known.job is None:
        raise NotFound(f"No job {job!r} at source {source!r} is watched: PUT it first")
    return Found(place.keys, place.known, place.known.job)


async def look(context: Context, source: str, job: str) -> Place:
    """What stands under a name, behind its alias if it is one."""
    keys = context.store.shard(source, job)
    known = await context.store.jobs.find(keys, f"{source}/{job}")
    places = {job: Place(keys, job, known)}
    while known.alias_of and known.alias_of not in places:
        job = known.alias_of
        keys = context.store.shard(source, job)
        known = await context.store.jobs.find(keys, f"{source}/{job}")
        places[job] = Place(keys, job, known)
    if not known.alias_of:
        return places[job]
    names = list(places)
    return places[min(names[names.index(known.alias_of) :])]  # of a circle always the same one


async def view(context: Context, found: Found) -> dict[str, Any]:
    """A job as the API shows it."""
    job = found.job
    if job.state in FINAL:
        return payload.view(job, None)  # a finished job is not asked about
    at = await context.store.backlogs.next_poll(found.keys, job.source, name_of(job))
    return payload.view(job, at)


def source_of(context: Context, name: str) -> Source:
    """A source by name; NotFound if it is not configured."""
    source = context.settings.sources.get(name)
    if source is None:
        raise NotFound(f"No source {name!r}: it needs a [sources.{name}] in the configuration")
    return source


async def wait(context: Context, tailer: Tailer, source: str, job: str, seconds: float) -> Found:
    """A job once it is finished, or as it is when the time is up."""
    found = await find(context, source, job)
    if found.job.state in FINAL or not seconds:
        return found
    async with tailer.finishing(found.job.uid) as done:  # listen first, then look again
        found = await find(context, source, job)
        if found.job.state in FINAL:
            return found
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            pass
    return await find(context, source, job)


async def history(context: Context, source: str, job: str) -> list[dict[str, Any]]:
    """What happened to a job, oldest first."""
    found = await find(context, source, job)
    return await context.store.jobs.history(found.keys, name_of(found.job))
