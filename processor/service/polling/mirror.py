"""The provider's own status call, answered from the last poll, for clients that use no other.

A job that is not watched is polled at once; this poll counts in the source's concurrency and
budget. With a key the job is watched from then on. Without a key (`mirror = "open"`) nothing is
written, the answer is repeated until the next poll would be due, and most of the concurrency and
half of the budget's burst are left for polls.
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
from processor.service.polling import poll as polling
from processor.service.polling.last_answer import JSON, LastAnswer
from processor.service.polling.recent_answers import RecentAnswers
from processor.service.runtime.context import Context
from processor.shared_calls import SharedCalls
from processor.store.reserve import watch_price
from processor.store.work_items import Busy, LaneLimits, Settlement

FIRST_POLL_TIMEOUT = 10.0  # seconds that the first caller waits for the provider
FAILURE_LASTS = 5.0  # seconds for which a failed answer is repeated, without another poll
MAX_IN_FLIGHT_WITHOUT_KEY = polling.MAX_IN_FLIGHT // 4  # polls of one source

Name = tuple[str, str]  # source, id


class MirrorResponse(NamedTuple):
    """What the mirror answers: the provider's own answer, or that of its last poll."""

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None


class Polled(NamedTuple):
    """A response of the provider, and what it says."""

    response: HttpResponse
    outcome: StatusUpdate | PollFailure


class Mirror:
    """Answers for all sources; calls for the same job at the same time share one poll."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._polls: SharedCalls[Name, Polled] = SharedCalls()
        self._watches: SharedCalls[Name, None] = SharedCalls()
        self._recent: RecentAnswers[Name, MirrorResponse] = RecentAnswers()

    async def read(self, source: Source, job: str, *, has_key: bool) -> MirrorResponse:
        """The last answer about a job; a job that is not known is polled first."""
        keys, _, lookup = await locate(self._context, source.name, job)
        if lookup.job is not None:
            stored = await self._context.store.jobs.answer(keys, f"{source.name}/{lookup.job.id}")
            if stored is not None:
                last = LastAnswer.decode(stored)
                return MirrorResponse(last.status, last.content_type, last.body)
        recent = self._recent.get((source.name, job))
        if recent and (not has_key or recent.status not in _statuses_with_job(source, job)):
            return recent
        try:
            async with asyncio.timeout(FIRST_POLL_TIMEOUT):
                return await self._first(source, job, has_key=has_key)
        except TimeoutError:
            reason = f"{source.profile.name} did not answer in {FIRST_POLL_TIMEOUT:g} s; try again"
            raise ProviderError(reason, 504) from None

    async def _first(self, source: Source, job: str, *, has_key: bool) -> MirrorResponse:
        """Poll, and with a key watch the job if the provider has it."""
        kind = source.kind_of(job)
        if source.poll(kind) is None:
            raise NotFound(f"Nothing to mirror: {source.why_not_pollable(kind)}")
        price = watch_price(0, new=True) if has_key else 0
        async with self._context.store.memory.admitted(price):
            return await self._poll_first(source, job, has_key=has_key)

    async def _poll_first(self, source: Source, job: str, *, has_key: bool) -> MirrorResponse:
        name = (source.name, job)
        try:
            response, outcome = await self._shared_poll(source, job, has_key=has_key)
        except Overloaded:
            if not has_key:
                raise
            # The poll that we shared was refused because its first caller had no key.
            response, outcome = await self._shared_poll(source, job, has_key=True)
        if isinstance(outcome, StatusUpdate) and has_key:
            await self._watches.run(name, lambda: self._watch(source, job, response, outcome))
        return _mirrored(response)

    async def _shared_poll(self, source: Source, job: str, *, has_key: bool) -> Polled:
        """The poll of this job that is running, or a new one."""
        return await self._polls.run(
            (source.name, job), lambda: self._poll(source, job, has_key=has_key)
        )

    async def _poll(self, source: Source, job: str, *, has_key: bool) -> Polled:
        """Poll within the limits of the source; Overloaded if they are reached."""
        backlogs, keys = self._context.store.backlogs, self._context.store.shard(source.name, job)
        whole = polling.lane_limits(self._context)(source.name)
        allowed = whole if has_key else LaneLimits(MAX_IN_FLIGHT_WITHOUT_KEY, whole.budget)
        left = 0 if has_key else whole.args()[2] // 2
        item = (source.name, f"?{source.name}/{job}")  # not a job's name: those begin without `?`
        claim = await backlogs.admit(keys, "poll", item, allowed, left)
        if isinstance(claim, Busy):
            raise Overloaded(f"{source.name} cannot be polled now ({claim.reason}); try again")
        try:
            response, outcome = await polling.poll_once(self._context, source, job)
        finally:
            await backlogs.settle([Settlement(claim, requires_token=True)])
        if response is None:
            reason = outcome.reason if isinstance(outcome, PollFailure) else "no answer"
            raise ProviderError(f"{source.profile.name} cannot be reached: {reason}", 504)
        if isinstance(outcome, PollFailure) and outcome.kind == "unauthorized":
            reason = f"the provider refuses the token of the source: {outcome.reason}"
            raise ProviderError(reason, 502)
        self._recent.put((source.name, job), _mirrored(response), _lasts(source, job, outcome))
        return Polled(response, outcome)

    async def _watch(
        self, source: Source, job: str, response: HttpResponse, update: StatusUpdate
    ) -> None:
        incoming = IncomingUpdate(update, answer=LastAnswer.from_response(response).encode())
        await advance(self._context, self._context.store.shard(source.name, job), [incoming])


def _statuses_with_job(source: Source, job: str) -> frozenset[int]:
    """The status codes with which the provider describes a job."""
    poll = source.poll(source.kind_of(job))
    return poll.reads if poll else frozenset()


def _lasts(source: Source, job: str, outcome: StatusUpdate | PollFailure) -> float:
    """For how many seconds an answer is repeated: the poll interval of a young job."""
    poll = source.poll(source.kind_of(job))
    return poll.every[0] if poll and isinstance(outcome, StatusUpdate) else FAILURE_LASTS


def _mirrored(response: HttpResponse) -> MirrorResponse:
    return MirrorResponse(
        response.status,
        response.headers.get("content-type", JSON),
        response.body,
        response.headers.get("retry-after"),
    )
