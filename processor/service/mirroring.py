"""The provider's own status call, answered from the last poll, for clients that know no other."""

import asyncio
from typing import NamedTuple

from processor.config import Source
from processor.errors import NotFound, ProviderTrouble
from processor.model import Answer
from processor.provider import Trouble
from processor.service import polling
from processor.service.advancing import advance
from processor.service.context import Context
from processor.service.deciding import Arrival
from processor.service.keeping import JSON, Kept
from processor.service.looking import look

FIRST_SIGHT = 10.0  # seconds that a first caller waits for the provider


class Mirrored(NamedTuple):
    """What the mirror answers: the provider's words, or why there are none."""

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None


async def mirror(context: Context, source: Source, job: str) -> Mirrored:
    """The last answer about a job; a job that is new is watched and asked about first."""
    keys, _, known = await look(context, source.name, job)
    if known.job is not None:
        stored = await context.store.jobs.answer(keys, f"{source.name}/{known.job.id}")
        if stored is not None:
            kept = Kept.unpacked(stored)
            return Mirrored(kept.status, kept.content_type, kept.body)
    try:
        async with asyncio.timeout(FIRST_SIGHT):
            return await _first(context, source, job)
    except TimeoutError:
        why = f"{source.profile.name} did not answer in {FIRST_SIGHT:g} s; ask again"
        raise ProviderTrouble(why, 504) from None


async def _first(context: Context, source: Source, job: str) -> Mirrored:
    """Ask, and watch the job if the provider has it."""
    why = source.why_not_pollable(source.kind_of(job))
    if why:
        raise NotFound(f"Nothing to mirror: {why}")
    answer, told = await polling.ask(context, source, job)
    if answer is None:
        why = told.reason if isinstance(told, Trouble) else "no answer"
        raise ProviderTrouble(f"{source.profile.name} cannot be reached: {why}", 504)
    if isinstance(told, Trouble):
        return _passed_on(answer, told)
    arrival = Arrival(told, answer=Kept.of(answer).packed())
    await advance(context, context.store.shard(source.name, job), [arrival])
    return _answered(answer)


def _passed_on(answer: Answer, trouble: Trouble) -> Mirrored:
    """A refused answer: ours to explain when it is about our token, else the provider's own."""
    if trouble.kind == "unauthorized":
        why = f"the provider refuses the token of the source: {trouble.reason}"
        raise ProviderTrouble(why, 502)
    return _answered(answer)


def _answered(answer: Answer) -> Mirrored:
    return Mirrored(
        answer.status,
        answer.headers.get("content-type", JSON),
        answer.body,
        answer.headers.get("retry-after"),
    )
