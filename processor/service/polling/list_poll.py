"""Polls many jobs of a source with one request, where the provider has a list of its jobs.

What the list does not answer about a claimed job, a poll of that job alone answers. So nothing
depends on the list but the number of requests.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

import structlog
from msgspec.structs import replace

from processor import provider
from processor.config import Source
from processor.config.redaction import redact
from processor.egress import NetworkScope
from processor.errors import (
    BlockedTarget,
    BudgetSpent,
    ConfigError,
    Contention,
    InvalidValue,
    RequestFailed,
    WrongKeyType,
)
from processor.model import HttpResponse
from processor.provider import ListedJobs, PollFailure, PollFailureKind
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.jobs.poll_sooner import hurried
from processor.service.polling import budget, poll as polling
from processor.service.polling.list_answers import Answer, ListQuery, match_answers
from processor.service.polling.list_groups import WORTH_IT, Key, ListGroup, list_groups
from processor.service.runtime.context import Context
from processor.store.work_items import Claim

READ_AT_MOST = 4 * 1_048_576  # bytes of a page; 100 runs of GitHub have 2 MB
REST = 300.0  # seconds without a list after one that answered too few
PASSING: frozenset[PollFailureKind] = frozenset({"throttled", "outdated"})  # not the list's fault

Result = TypeVar("Result")

log = structlog.get_logger()


class ListPoller:
    """The list polls of one process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._rests_until: dict[Key, float] = {}

    async def poll(self, claims: Sequence[Claim]) -> None:
        """Poll claimed jobs of one source and kind, and commit what is said about them.

        One after the other: what one list answers, the next need not ask about.
        """
        source = self._context.settings.sources[claims[0].lane]
        async with self._locks[source.name, source.kind_of(claims[0].item.partition("/")[2])]:
            groups = await list_groups(self._context, source, claims, self._rests)
            answered = await _all(self._poll_group(group) for group in groups)
        done = {id(claim) for some in answered for claim in some}
        left = [claim for claim in claims if id(claim) not in done]
        await _all(polling.poll(self._context, source, claim) for claim in left)

    def _rests(self, key: Key) -> bool:
        """Whether a list was of no use a short time ago."""
        return self._rests_until.get(key, 0.0) > time.monotonic()

    def _rest(self, key: Key) -> None:
        """Ask for no list for a while; what has rested is forgotten."""
        now = time.monotonic()
        resting = {k: until for k, until in self._rests_until.items() if until > now}
        self._rests_until = resting | {key: now + REST}

    async def _poll_group(self, group: ListGroup) -> list[Claim]:
        """Poll a group, and commit what the lists say; the claims that are settled by it."""
        settled: list[Claim] = []
        query = ListQuery(group, tuple(group.jobs))
        answered, failure = 0, None
        while query.is_worth_it:
            try:
                outcome = await self._request(query)
            except BudgetSpent:
                return settled  # polls of single jobs wait for the budget
            if isinstance(outcome, PollFailure):
                failure = outcome
                break
            response, listed = outcome
            answers = match_answers(group, listed, response)
            answered += len(answers)
            settled += await self._commit(group, answers)
            query = query.after(listed, answers)
        if answered < WORTH_IT and (failure is None or failure.kind not in PASSING):
            self._rest(group.key)
        if failure and failure.kind == "throttled":
            settled += await self._postpone(group, settled, failure)
        return settled

    async def _postpone(
        self, group: ListGroup, settled: Sequence[Claim], failure: PollFailure
    ) -> list[Claim]:
        """Poll all other jobs later: the provider said that we poll too much."""
        done = set(map(id, settled))
        left = {job: claim for job, claim in group.claims.items() if id(claim) not in done}
        await _all(
            polling.postpone(self._context, claim, group.source, group.jobs[job], failure)
            for job, claim in left.items()
        )
        return list(left.values())

    async def _request(self, query: ListQuery) -> tuple[HttpResponse, ListedJobs] | PollFailure:
        """One request, for some jobs or a page."""
        context, group = self._context, query.group
        source = group.source
        asked_at = await context.store.now()
        try:
            account = await source.account_now()
        except ConfigError as error:
            return self._failed(source, PollFailure("unauthorized", str(error)))
        try:
            request = provider.build_list_request(
                group.poll, account, group.params, query.ids, query.page
            )
            response = await context.egress.request(
                request.method,
                request.url,
                headers=request.headers,
                scope=NetworkScope.CONFIGURED,
                timeout=polling.TIMEOUT,
                read_limit=READ_AT_MOST,
                may_send=partial(budget.take, context, source),
            )
        except (BlockedTarget, RequestFailed, InvalidValue) as error:
            return self._failed(source, PollFailure("failed", str(error)))
        outcome = provider.read_list_response(
            source.profile, source.name, group.kind, response, asked_at
        )
        await budget.obey(context, source, response, outcome)
        if isinstance(outcome, PollFailure):
            if outcome.kind == "unauthorized" and source.renewed_after_refusal(account):
                outcome = replace(outcome, kind="outdated")
            return self._failed(source, outcome)
        context.metrics.polled(source.name, "answered")
        return response, outcome

    def _failed(self, source: Source, failure: PollFailure) -> PollFailure:
        failure = replace(failure, reason=redact(source, failure.reason))
        self._context.metrics.polled(source.name, failure.kind)
        log.info("list_failed", source=source.name, kind=failure.kind, reason=failure.reason)
        return failure

    async def _commit(self, group: ListGroup, answers: Mapping[str, Answer]) -> list[Claim]:
        """Take jobs through the answers that count; the claims that this settled.

        For jobs without a claim it may fail: they are not due.
        """
        context, source = self._context, group.source
        keys = context.store.shards[next(iter(group.claims.values())).shard]
        now = await context.store.now()

        async def incoming(job: str, answer: Answer) -> IncomingUpdate:
            claim = group.claims.get(job)
            late = max(now - claim.due / 1000, 0.0) if claim and claim.due else 0.0
            hurry = await hurried(context, keys, group.jobs[job], source, late)
            return answer.incoming(claim, now, hurry)

        updates = await _all(incoming(job, a) for job, a in answers.items() if a.counts)
        claims = [update.claim for update in updates if update.claim]
        await advance(context, keys, [update for update in updates if update.claim])
        with suppress(Contention, WrongKeyType):
            await advance(context, keys, [update for update in updates if not update.claim])
        if updates:
            await context.store.clear_stall(source.name)
        return claims


async def _all(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run all to their end; then raise the first error, if there was one."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for error in results:
        if isinstance(error, BaseException):
            raise error
    return cast("list[Result]", results)
