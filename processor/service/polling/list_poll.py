"""Polls many jobs of a source with one request, where the provider has a list of its jobs.

What the list does not answer about a claimed job, a poll of that job alone answers. So nothing
depends on the list but the number of requests.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from processor import schedule
from processor.errors import BudgetSpent, Contention, WrongKeyType
from processor.keyed_locks import KeyedLocks
from processor.provider import PollFailure, PollFailureKind
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.jobs.poll_sooner import hurry_of
from processor.service.polling import poll as polling
from processor.service.polling.list_answers import Answer, ListQuery, match_answers
from processor.service.polling.list_batches import WORTH_IT, Key, ListBatch, list_batches
from processor.service.polling.list_request import send
from processor.service.polling.poll_span import with_span
from processor.service.polling.postpone import put_back
from processor.service.runtime.context import Context
from processor.store.work_items import Claim

REST = 300.0  # seconds without a list after one that answered too few
PASSING: frozenset[PollFailureKind] = frozenset({"throttled", "outdated"})  # not the list's fault

Result = TypeVar("Result")


class ListPoller:
    """The list polls of one process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns: KeyedLocks[Key] = KeyedLocks()
        self._rests_until: dict[Key, float] = {}

    async def poll(self, claims: Sequence[Claim]) -> None:
        """Poll claimed jobs of one source and kind, and commit what is said about them.

        One after the other: what one list answers, the next need not ask about.
        """
        source = self._context.settings.sources[claims[0].lane]
        async with self._turns[source.name, source.kind_of(claims[0].item.partition("/")[2])]:
            batches = await list_batches(self._context, source, claims, self._rests)
            answered = await _all(self._poll_batch(batch) for batch in batches)
        left = _left(claims, [claim for some in answered for claim in some])
        await _all(polling.poll(self._context, source, claim) for claim in left)

    def _rests(self, key: Key) -> bool:
        """Whether a list was of no use a short time ago."""
        return self._rests_until.get(key, 0.0) > time.monotonic()

    def _rest(self, key: Key) -> None:
        """Ask for no list for a while; what has rested is forgotten."""
        now = time.monotonic()
        resting = {k: until for k, until in self._rests_until.items() if until > now}
        self._rests_until = resting | {key: now + REST}

    async def _poll_batch(self, batch: ListBatch) -> list[Claim]:
        """Poll a batch, and commit what the lists say; the claims that are settled by it."""
        settled: list[Claim] = []
        query = ListQuery(batch, tuple(batch.jobs))
        requests, answered, failure = 0, 0, None
        while query.is_worth_it:
            requests, began = requests + 1, time.time_ns()
            try:
                outcome = await send(self._context, query)
            except BudgetSpent:
                return settled  # the polls of single jobs wait for the budget
            if isinstance(outcome, PollFailure):
                failure = outcome
                break
            response, listed = outcome
            answers = match_answers(batch, listed, response)
            answered += len(answers)
            settled += await self._commit(batch, answers, began)
            query = query.after(listed, answers)
        refused = failure is not None and failure.kind == "unauthorized"
        if refused and (left := _left(batch.claims.values(), settled)):
            settled.append(left[0])
            if await self._is_token_refused(batch, *left):
                return [*batch.claims.values()]
        was_worth_it = answered >= WORTH_IT * requests
        if not was_worth_it and (failure is None or failure.kind not in PASSING):
            self._rest(batch.key)
        return settled

    async def _is_token_refused(self, batch: ListBatch, first: Claim, *others: Claim) -> bool:
        """Poll one job alone, after its list was refused. If that is refused too, the token is at fault,
        and not only its right to lists: the others wait until the pause of the source ends.
        """
        failure = await polling.poll(self._context, batch.source, first)
        if failure is None or failure.kind != "unauthorized":
            return False
        until = await self._context.store.now() + schedule.UNAUTHORIZED_PAUSE
        await _all(put_back(self._context, claim, until) for claim in others)
        return True

    async def _commit(
        self, batch: ListBatch, answers: Mapping[str, Answer], began: int
    ) -> list[Claim]:
        """Take jobs through the answers that count; the claims that this settled.

        `began` is when the request began, in ns. For jobs without a claim it may fail: they are not due.
        """
        context, source = self._context, batch.source
        keys = context.store.shards[next(iter(batch.claims.values())).shard]
        now = await context.store.now()

        def incoming(job: str, answer: Answer) -> IncomingUpdate:
            claim = batch.claims.get(job)
            late = max(now - claim.due / 1000, 0.0) if claim and claim.due else 0.0
            if claim and claim.due:
                took = (time.time_ns() - began) / 1e9
                context.metrics.late(source.name, max(late - took, 0.0))
            hurry = hurry_of(context, batch.jobs[job], source, late)
            update = with_span(
                context.tracer,
                source.name,
                job,
                answer.update,
                parent=batch.jobs[job].trace,
                began=began,
                response=answer.response,
            )
            return answer._replace(update=update).incoming(claim, now, hurry)

        updates = [incoming(job, a) for job, a in answers.items() if a.counts]
        claims = [update.claim for update in updates if update.claim]
        await advance(context, keys, [update for update in updates if update.claim])
        with suppress(Contention, WrongKeyType):
            await advance(context, keys, [update for update in updates if not update.claim])
        if updates:
            await context.store.stalled_sources.clear(source.name)
        return claims


def _left(claims: Iterable[Claim], done: Iterable[Claim]) -> list[Claim]:
    """The claims that are not among those that are done."""
    ids = {id(claim) for claim in done}
    return [claim for claim in claims if id(claim) not in ids]


async def _all(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run all to their end; then raise the first error, if there was one."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for error in results:
        if isinstance(error, BaseException):
            raise error
    return cast("list[Result]", results)
