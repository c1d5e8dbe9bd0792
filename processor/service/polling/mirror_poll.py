"""Polls for the mirror: of each job one at a time over all processes, within its source's limits.

The claim of such a poll is the lock: other processes wait for its end, and then find the answer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from processor import schedule
from processor.config import Source
from processor.errors import Conflict, NotFound, Overloaded, ProviderError
from processor.model import HttpResponse, Job, StatusUpdate
from processor.provider import PollFailure
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.jobs.poll_sooner import poll_sooner
from processor.service.jobs.query import Found, locate
from processor.service.jobs.watch import commit_change, with_item
from processor.service.polling import poll as polling
from processor.service.polling.last_answer import LastAnswer
from processor.service.runtime.context import Context
from processor.shared_calls import SharedCalls
from processor.store.buckets import pace
from processor.store.change import Change
from processor.store.jobs import ANSWER_AT_MOST, name_of
from processor.store.keys import Keys
from processor.store.planned_poll import FOR_MIRROR
from processor.store.reserve import watch_price
from processor.store.work_items import NOW, Busy, Settlement, WorkItem

FIRST_WAIT = 60.0  # seconds for which somebody counts as waiting who asks for the first time
POLL_TIMEOUT = 10.0  # seconds that a reader waits for the provider
MAX_IN_FLIGHT_WITHOUT_KEY = polling.MAX_IN_FLIGHT // 4  # polls of one source, in all shards
LOOK_AGAIN = 0.05  # seconds between looks for what another process does
CLAIMED = "claimed"  # why `admit` refuses a poll that another process makes


class StoredJob(NamedTuple):
    """What is stored of a job: its id is the canonical one if there is a record."""

    keys: Keys
    id: str
    job: Job | None
    answer: LastAnswer | None

    def answer_since(self, before: "StoredJob") -> LastAnswer | None:
        """The answer, if it is another one than before."""
        return self.answer if self.answer != before.answer else None


class Polled(NamedTuple):
    """An answer of the provider, what it says, and whether the job is watched with it."""

    answer: LastAnswer
    outcome: StatusUpdate | PollFailure | None  # None: another process has polled
    retry_after: str | None = None
    watched: bool = True


class MirrorPolls:
    """Polls of all sources; calls about the same job at the same time share one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._polls: SharedCalls[tuple[str, str], Polled] = SharedCalls()
        self._watches: SharedCalls[tuple[str, str], None] = SharedCalls()

    async def stored(self, source: Source, job: str) -> StoredJob:
        """What is stored of a job."""
        store = self._context.store
        keys, job_id, lookup = await locate(self._context, source.name, job)
        if lookup.job is None:
            return StoredJob(store.shard(source.name, job), job, None, None)
        found = await store.jobs.answer(keys, name_of(lookup.job))
        return StoredJob(keys, job_id, lookup.job, LastAnswer.decode(found) if found else None)

    async def poll(self, source: Source, stored: StoredJob, *, has_key: bool) -> Polled:
        """Poll a job; with a key it is watched from then on, if the provider has it.

        ProviderError without an answer, or if our token is refused; Overloaded at the source's
        limits; NotFound or Conflict if the job cannot be polled.
        """
        try:
            async with asyncio.timeout(POLL_TIMEOUT):
                return await self._poll(source, stored, has_key=has_key)
        except TimeoutError:
            reason = f"{source.profile.name} did not answer in {POLL_TIMEOUT:g} s; try again"
            raise ProviderError(reason, 504) from None

    async def _poll(self, source: Source, stored: StoredJob, *, has_key: bool) -> Polled:
        try:
            polled = await self._shared(source, stored, has_key=has_key)
        except Overloaded:
            if not has_key:
                raise
            # The poll that we shared was refused because its first caller had no key.
            polled = await self._shared(source, stored, has_key=True)
        if has_key and not polled.watched and isinstance(polled.outcome, StatusUpdate):
            update, answer = polled.outcome, polled.answer
            await self._watches.run(
                (source.name, stored.id), lambda: self._commit(stored, update, answer)
            )
        return polled

    async def _shared(self, source: Source, stored: StoredJob, *, has_key: bool) -> Polled:
        """The poll of this job that is running, or a new one."""
        kind = source.kind_of(stored.id)
        if source.poll(kind) is None:
            raise NotFound(f"Nothing to mirror: {source.why_not_pollable(kind)}")
        call = self._by_worker if source.polled_by_workers_only else self._admitted
        return await self._polls.run(
            (source.name, stored.id), lambda: call(source, stored, has_key=has_key)
        )

    async def _by_worker(self, source: Source, stored: StoredJob, *, has_key: bool) -> Polled:  # noqa: ARG002 -- as `_admitted`
        """Have a worker poll a watched job: only workers run the command that prints the token."""
        if stored.job is None:
            raise Conflict(
                "Only workers can poll this source, because a command prints its token: watch the "
                f"job first (PUT /v1/jobs/{source.name}/…)"
            )
        await commit_change(self._context, source.name, stored.id, _polled_now)
        polls, name = self._context.store.polls, name_of(stored.job)
        async with asyncio.timeout(POLL_TIMEOUT):
            while True:
                planned = await polls.next_poll(stored.keys, source.name, name)  # before the answer
                found = await self.stored(source, stored.id)
                if answer := found.answer_since(stored):
                    return Polled(answer, None)
                if planned is None:
                    reason = f"the poll failed, or its answer has more than {ANSWER_AT_MOST} bytes"
                    raise ProviderError(f"A worker has kept no new answer: {reason}", 502)
                await asyncio.sleep(LOOK_AGAIN)

    async def _admitted(self, source: Source, stored: StoredJob, *, has_key: bool) -> Polled:
        """Poll within the limits, unless another process has just done so; commit the answer."""
        watch = has_key or stored.job is not None
        price = watch_price(0, new=True) if has_key and stored.job is None else 0
        async with (
            self._context.store.memory.admitted(price),
            self._claimed(source, stored, has_key=has_key),
        ):
            found = await self.stored(source, stored.id)
            if answer := found.answer_since(stored):
                return Polled(answer, None)
            left = 0 if has_key else pace(source.budget)[1] // 2  # half of the burst is for others
            response, outcome = await self._ask(source, found, left)
            answer = LastAnswer.from_response(response, await self._context.store.now())
            if watch and isinstance(outcome, StatusUpdate):
                await self._commit(found, outcome, answer)
            return Polled(answer, outcome, response.headers.get("retry-after"), watch)

    @asynccontextmanager
    async def _claimed(
        self, source: Source, stored: StoredJob, *, has_key: bool
    ) -> AsyncIterator[None]:
        """Hold one of the source's polls; Overloaded if all are taken."""
        backlogs, shards = self._context.store.backlogs, len(self._context.store.shards)
        most = polling.MAX_IN_FLIGHT if has_key else MAX_IN_FLIGHT_WITHOUT_KEY
        capacity = schedule.shard_part(most, shards)
        item = (source.name, f"?{source.name}/{stored.id}")  # no job's name begins with `?`
        while True:
            claim = await backlogs.admit(stored.keys, "poll", item, capacity)
            if not isinstance(claim, Busy):
                break
            if claim.reason != CLAIMED:
                raise Overloaded(f"{source.name} cannot be polled now ({claim.reason}); try again")
            await asyncio.sleep(LOOK_AGAIN)
        try:
            yield
        finally:
            await backlogs.settle([Settlement(claim, requires_token=True)])

    async def _ask(
        self, source: Source, stored: StoredJob, left: int
    ) -> tuple[HttpResponse, StatusUpdate | PollFailure]:
        params = stored.job.params if stored.job else {}
        poll = source.poll(source.kind_of(stored.id))
        last = stored.answer if poll and poll.etag else None
        trace = stored.job.trace if stored.job else None
        response, outcome = await polling.poll_once(
            self._context, source, stored.id, params, last, left=left, trace=trace
        )
        if response is None:
            reason = outcome.reason if isinstance(outcome, PollFailure) else "no answer"
            raise ProviderError(f"{source.profile.name} cannot be reached: {reason}", 504)
        if response.cut and poll and response.status in poll.reads:
            raise ProviderError(f"{source.profile.name} answered, but {response.cut}", 502)
        if isinstance(outcome, PollFailure) and outcome.kind in {"unauthorized", "outdated"}:
            reason = f"the provider refuses the token of the source: {outcome.reason}"
            raise ProviderError(reason, 502)
        return response, outcome

    async def _commit(self, stored: StoredJob, update: StatusUpdate, answer: LastAnswer) -> None:
        incoming = IncomingUpdate(update, answer=answer.encode())
        jobs = await advance(self._context, stored.keys, [incoming])
        if stored.job is None:  # whoever asks for the first time will ask again
            await poll_sooner(self._context, [(stored.keys, job) for job in jobs], FIRST_WAIT)


def _polled_now(found: Found) -> Change:
    """Have a job polled now, even if it has finished."""
    job = found.job
    return with_item(found, WorkItem("poll", job.source, name_of(job), NOW, FOR_MIRROR))
