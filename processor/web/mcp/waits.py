"""wait_for_job and wait_for_jobs: they answer within 45 s, with progress meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

from processor.service.groups import wait
from processor.service.groups.wait import Name
from processor.web.groups import split_name
from processor.web.mcp import sentences
from processor.web.mcp.arguments import Arguments, WaitForJob, WaitForJobs
from processor.web.mcp.exchange import Exchange
from processor.web.query_params import checked_name

PROGRESS_INTERVAL = 5.0  # seconds
MAX_DESCRIBED = sentences.MAX_SHOWN  # jobs of a wait whose states its progress says
AGAIN = {
    WaitForJob: "It stays watched: call wait_for_job again, or later.",
    WaitForJobs: "They stay watched: call wait_for_jobs again, or later.",
}


def jobs_of(exchange: Exchange, args: Arguments) -> tuple[list[Name], bool]:
    """The jobs that a call waits for; True if it waits for the first of them."""
    if isinstance(args, WaitForJobs):
        names = [split_name(f"jobs[{place}]", name) for place, name in enumerate(args.jobs)]
        return list(dict.fromkeys(names)), args.mode == "any"
    assert isinstance(args, WaitForJob)  # noqa: S101 -- the table has no other
    return [checked_name(exchange.context.settings.sources, args.source, args.id)], False


async def wait_for(exchange: Exchange, args: Arguments) -> dict[str, Any]:
    """Wait for jobs; NotFound if one is unknown."""
    names, first = jobs_of(exchange, args)
    seconds: float = args.timeout  # type: ignore[attr-defined] # both have it
    waited = asyncio.create_task(_wait(exchange, names, first=first, seconds=seconds))
    try:
        await _report(exchange, names, waited, seconds)
        found = await waited
    finally:
        waited.cancel()
    shown = await wait.view(exchange.context, found, first=first)
    return shown if shown["done"] else shown | {"next": AGAIN[type(args)]}


async def _wait(
    exchange: Exchange, names: Sequence[Name], *, first: bool, seconds: float
) -> wait.Waited:
    tailer = exchange.services.tailer
    return await wait.wait(exchange.context, tailer, names, [], first=first, seconds=seconds)


async def _report(
    exchange: Exchange, names: Sequence[Name], waited: asyncio.Task[wait.Waited], seconds: float
) -> None:
    """Send progress until a wait is over."""
    time = asyncio.get_running_loop().time
    began = time()
    while not waited.done():
        await exchange.progress(round(time() - began, 3), seconds, await _states(exchange, names))
        await asyncio.wait([waited], timeout=PROGRESS_INTERVAL)


async def _states(exchange: Exchange, names: Sequence[Name]) -> str:
    if exchange.notify is None or len(names) > MAX_DESCRIBED:
        return f"Waiting for {len(names)} jobs"
    found = await _wait(exchange, names, first=False, seconds=0)
    shown = await wait.view(exchange.context, found, first=False)
    return sentences.working(shown["jobs"])
