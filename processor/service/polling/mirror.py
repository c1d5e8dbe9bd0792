"""The provider's own status call, answered from the last poll, for clients that know no other.

A job that nobody watches is asked about at once, in the place of a poll: what the mirror asks
counts in the source's concurrency and budget. With a key it is watched from then on. Without one
(`mirror = "open"`) nothing is written, the answer is repeated until the next poll would be due, and
most of the concurrency and half of the budget's burst are left for polls.
"""

import asyncio
from typing import NamedTuple

from processor.config import Source
from processor.errors import NotFound, Overloaded, ProviderError
from processor.model import HttpResponse, StatusUpdate
from processor.provider import PollFailure
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.jobs.query import locate
from processor.service.polling import poll as polling_poll
from processor.service.polling.last_answer import JSON, LastAnswer
from processor.service.polling.recent_answers import RecentAnswers
from processor.service.polling.shared_calls import SharedCalls
from processor.service.runtime.context import Context
from processor.store.reserve import watch_price
from processor.store.work_items import Busy, LaneLimits, Settlement, limits

FIRST_SIGHT = 10.0  # seconds that a first caller waits for the provider
REFUSED = 5.0  # seconds for which a provider's refusal is repeated, not asked for again
WITHOUT_KEY = (
    polling_poll.MAX_IN_FLIGHT // 4
)  # questions under way beyond which none is asked without a key

Name = tuple[str, str]  # source, id


class Mirrored(NamedTuple):
    """What the mirror answers: the provider's words, or why there are none."""

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None


class Asked(NamedTuple):
    """An answer of the provider, and what it says."""

    answer: HttpResponse
    outcome: StatusUpdate | PollFailure


class Mirror:
    """Answers for all sources; whoever asks for the same at the same time shares one question."""

    def __init__(self, context: Context) -> None:
        """Nothing was asked yet."""
        self._context = context
        self._asking: SharedCalls[Name, Asked] = SharedCalls()
        self._watching: SharedCalls[Name, None] = SharedCalls()
        self._recent: RecentAnswers[Name, Mirrored] = RecentAnswers()

    async def read(self, source: Source, job: str, *, has_key: bool) -> Mirrored:
        """The last answer about a job; one that is not known is asked about first."""
        keys, _, known = await locate(self._context, source.name, job)
        if known.job is not None:
            stored = await self._context.store.jobs.answer(keys, f"{source.name}/{known.job.id}")
            if stored is not None:
                kept = LastAnswer.unpacked(stored)
                return Mirrored(kept.status, kept.content_type, kept.body)
        recent = self._recent.get((source.name, job))
        if recent and (not has_key or recent.status not in _reads(source, job)):
            return recent
        try:
            async with asyncio.timeout(FIRST_SIGHT):
                return await self._first(source, job, has_key=has_key)
        except TimeoutError:
            why = f"{source.profile.name} did not answer in {FIRST_SIGHT:g} s; ask again"
            raise ProviderError(why, 504) from None

    async def _first(self, source: Source, job: str, *, has_key: bool) -> Mirrored:
        """Ask, and with a key watch the job if the provider has it."""
        kind = source.kind_of(job)
        if source.poll(kind) is None:
            raise NotFound(f"Nothing to mirror: {source.why_not_pollable(kind)}")
        price = watch_price(0, new=True) if has_key else 0
        async with self._context.store.memory.admitted(price):
            return await self._ask_first(source, job, has_key=has_key)

    async def _ask_first(self, source: Source, job: str, *, has_key: bool) -> Mirrored:
        name = (source.name, job)
        try:
            answer, outcome = await self._question(source, job, has_key=has_key)
        except Overloaded:
            if not has_key:
                raise
            answer, outcome = await self._question(
                source, job, has_key=True
            )  # who shared it had none
        if isinstance(outcome, StatusUpdate) and has_key:
            await self._watching.run(name, lambda: self._watch(source, job, answer, outcome))
        return _answered(answer)

    async def _question(self, source: Source, job: str, *, has_key: bool) -> Asked:
        """The question that is under way, or a new one."""
        return await self._asking.run(
            (source.name, job), lambda: self._ask(source, job, has_key=has_key)
        )

    async def _ask(self, source: Source, job: str, *, has_key: bool) -> Asked:
        """Ask in the place of a poll; Overloaded where there is none."""
        backlogs, keys = self._context.store.backlogs, self._context.store.shard(source.name, job)
        whole = polling_poll.pace(self._context)(source.name)
        pace = whole if has_key else LaneLimits(WITHOUT_KEY, whole.budget)
        left = 0 if has_key else limits(whole)[2] // 2
        place = (source.name, f"?{source.name}/{job}")  # no job's name: none has a `?` in front
        claim = await backlogs.admit(keys, "poll", place, pace, left)
        if isinstance(claim, Busy):
            raise Overloaded(f"{source.name} cannot be asked now ({claim.reason}); ask again")
        try:
            answer, outcome = await polling_poll.ask(self._context, source, job)
        finally:
            await backlogs.settle([Settlement(claim, fenced=True)])
        if answer is None:
            why = outcome.reason if isinstance(outcome, PollFailure) else "no answer"
            raise ProviderError(f"{source.profile.name} cannot be reached: {why}", 504)
        if isinstance(outcome, PollFailure) and outcome.kind == "unauthorized":
            why = f"the provider refuses the token of the source: {outcome.reason}"
            raise ProviderError(why, 502)
        self._recent.put((source.name, job), _answered(answer), _lasts(source, job, outcome))
        return Asked(answer, outcome)

    async def _watch(
        self, source: Source, job: str, answer: HttpResponse, update: StatusUpdate
    ) -> None:
        incoming = IncomingUpdate(update, answer=LastAnswer.of(answer).packed())
        await advance(self._context, self._context.store.shard(source.name, job), [incoming])


def _reads(source: Source, job: str) -> frozenset[int]:
    poll = source.poll(source.kind_of(job))
    return poll.reads if poll else frozenset()


def _lasts(source: Source, job: str, outcome: StatusUpdate | PollFailure) -> float:
    """For how many seconds an answer is repeated: as long as a poll of a young job would wait."""
    poll = source.poll(source.kind_of(job))
    return poll.every[0] if poll and isinstance(outcome, StatusUpdate) else REFUSED


def _answered(answer: HttpResponse) -> Mirrored:
    return Mirrored(
        answer.status,
        answer.headers.get("content-type", JSON),
        answer.body,
        answer.headers.get("retry-after"),
    )
