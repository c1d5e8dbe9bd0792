"""Polls the provider about a job, and takes the job through the answer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from msgspec.structs import replace

from processor import provider, schedule
from processor.config import Source
from processor.config.redaction import redact
from processor.egress import NetworkScope
from processor.errors import BlockedTarget, BudgetSpent, ConfigError, InvalidValue, RequestFailed
from processor.large_body_queue import LargeBodySlot
from processor.model import FINAL, HttpResponse, Job, Origin, State, StatusUpdate
from processor.provider import PollFailure
from processor.service.jobs import failed_polls
from processor.service.jobs.commit_together import advance_one
from processor.service.jobs.confirmation import UNCONFIRMED
from processor.service.jobs.decide import IncomingUpdate
from processor.service.jobs.poll_interval import earliest_poll
from processor.service.jobs.poll_sooner import hurry_of
from processor.service.polling import budget
from processor.service.polling.last_answer import LastAnswer
from processor.service.polling.poll_span import with_span
from processor.service.polling.postpone import postpone, put_back, wait_for_configuration
from processor.service.polling.read_answer import check_outcome, read_answer
from processor.service.runtime.context import Context
from processor.sizes import LARGEST_ANSWER
from processor.store.jobs import name_of
from processor.store.keys import Keys
from processor.store.planned_poll import FOR_MIRROR, decode_interval, encode_interval
from processor.store.work_items import Claim, LaneLimits, Settlement

TIMEOUT = 10.0  # seconds for a provider's answer
READ_AT_MOST = 1_048_576  # bytes of an answer without a slot for large ones
MAX_IN_FLIGHT = 64  # polls of one source at the same time, in all shards
MAX_HELD = 2.0  # seconds for which a claim waits until its job may be polled
NO_PARAMS: Mapping[str, str] = MappingProxyType({})


def lane_limits(context: Context) -> Callable[[str], LaneLimits]:
    """How many polls of each source may run in a shard, and how fast."""
    capacity = schedule.shard_part(MAX_IN_FLIGHT, len(context.store.shards))

    def limits_of(lane: str) -> LaneLimits:
        source = context.settings.sources.get(lane)
        return LaneLimits(capacity, source.budget if source else None)

    return limits_of


async def poll_once(
    context: Context,
    source: Source,
    job: str,
    params: Mapping[str, str] = NO_PARAMS,
    last: LastAnswer | None = None,
    *,
    left: int = 0,
    trace: str | None = None,
    slot: LargeBodySlot | None = None,
) -> tuple[HttpResponse | None, StatusUpdate | PollFailure]:
    """Poll a job; the response, and what it says. Nothing is written but the account's bucket.

    With the last answer the request is conditional, and a 304 stands for that answer. BudgetSpent if
    the request may not be sent now; `left` requests of the bucket's burst stay for others. The poll
    belongs to `trace`, a `traceparent`. With a `slot` the answer may have 32 MiB, else 1 MiB; the
    caller releases the slot.
    """
    began = time.time_ns()
    response, outcome = await _ask(context, source, job, params, last, left, slot)
    outcome = with_span(
        context.tracer, source.name, job, outcome, parent=trace, began=began, response=response
    )
    return response, outcome


async def _ask(  # noqa: PLR0917 - as poll_once
    context: Context,
    source: Source,
    job: str,
    params: Mapping[str, str],
    last: LastAnswer | None,
    left: int,
    slot: LargeBodySlot | None,
) -> tuple[HttpResponse | None, StatusUpdate | PollFailure]:
    kind = source.kind_of(job)
    asked_at = await context.store.now()
    try:
        account = await source.account_now()
    except ConfigError as error:
        context.metrics.polled(source.name, "unauthorized")
        return None, PollFailure("unauthorized", redact(source, str(error)))
    try:
        request = provider.build_poll_request(source.profile, kind, job, account, params)
        response = await context.egress.request(
            request.method,
            request.url,
            headers={**request.headers, **(last.conditional_headers() if last else {})},
            scope=NetworkScope.CONFIGURED,
            timeout=TIMEOUT,
            read_limit=LARGEST_ANSWER if slot else READ_AT_MOST,
            partial=True,
            slot=slot,
            may_send=partial(budget.take, context, source, left),
        )
    except (BlockedTarget, RequestFailed, InvalidValue) as error:
        context.metrics.polled(source.name, "failed")
        return None, PollFailure("failed", redact(source, str(error)), None)
    if last and response.status == 304:  # noqa: PLR2004 - Not Modified
        response = last.repeated(response)
    outcome = await read_answer(
        response,
        lambda answer: provider.read_poll_response(
            source.profile, source.name, kind, job, answer, asked_at
        ),
    )
    outcome = check_outcome(source, account, outcome)
    word = outcome.kind if isinstance(outcome, PollFailure) else "answered"
    context.metrics.polled(source.name, word)
    await budget.obey(context, source, response, outcome)
    return response, outcome


async def poll(context: Context, source: Source, claim: Claim) -> PollFailure | None:
    """Poll one claimed job, and commit the outcome; how it failed, if it did.

    It waits if the budget does not allow it now.
    """
    slot = LargeBodySlot(context.egress.large_answers, source.name)
    try:
        return await _poll(context, source, claim, slot)
    finally:
        slot.release()


async def _poll(
    context: Context, source: Source, claim: Claim, slot: LargeBodySlot
) -> PollFailure | None:
    keys = context.store.shards[claim.shard]
    job = (await context.store.jobs.find(keys, claim.item)).job
    needed = job is not None and _may_still_change(source, job)
    if job is None or not (needed or _is_mirrored(source, job, claim)):
        await context.store.backlogs.settle([Settlement(claim, requires_token=True)])
        return None
    if source.poll(job.kind) is None:  # others may have a newer configuration, or a better one
        await wait_for_configuration(context, claim, job)
        return None
    last = await _read_last_answer(context, keys, source, job)
    if not await _is_time(context, source, claim, job):
        return None
    late = await _late(context, claim)
    try:
        response, outcome = await poll_once(
            context, source, job.id, job.params, last, trace=job.trace, slot=slot
        )
    except BudgetSpent as error:
        await put_back(context, claim, error.until)
        return None
    if claim.due:
        context.metrics.late(source.name, late)
    if isinstance(outcome, PollFailure) and outcome.kind == "gone" and needed:
        outcome = _without_job(job, outcome, await context.store.now())
    if isinstance(outcome, PollFailure):
        await postpone(context, claim, source, job, outcome, needed=needed)
        return outcome
    now = await context.store.now()
    whole = response if response and not response.cut else None
    answer = LastAnswer.from_response(whole, now).encode() if whole else None
    hurry = hurry_of(context, job, source, late)
    incoming = IncomingUpdate(outcome, claim, answer, hurry=hurry)
    await advance_one(context, keys, incoming)
    await context.store.stalled_sources.clear(source.name)
    return None


async def _is_time(context: Context, source: Source, claim: Claim, job: Job) -> bool:
    """Wait until a job may be polled, if that is soon; False if it is to wait in its lane.

    A poll that went ahead of others that were late is early if they are late no more.
    """
    interval = decode_interval(claim.payload)
    if interval is None or not claim.due or job.status is None:  # asked for, or the first one
        return True
    planned_at = claim.due / 1000 - interval
    now = await context.store.now()
    earliest = earliest_poll(job, source, planned_at, now)
    wait = earliest - now
    if wait > MAX_HELD:
        again = Settlement(claim, earliest, encode_interval(earliest - planned_at))
        await context.store.backlogs.settle([again])
        return False
    if wait > 0:
        await asyncio.sleep(wait)
    return True


async def _late(context: Context, claim: Claim) -> float:
    """By how many seconds a poll leaves late."""
    return max(await context.store.now() - claim.due / 1000, 0.0) if claim.due else 0.0


async def _read_last_answer(
    context: Context, keys: Keys, source: Source, job: Job
) -> LastAnswer | None:
    """The last answer, if the provider answers conditional requests."""
    poll = source.poll(job.kind)
    stored = await context.store.jobs.answer(keys, name_of(job)) if poll and poll.etag else None
    return None if stored is None else LastAnswer.decode(stored)


def _may_still_change(source: Source, job: Job) -> bool:
    """A finished job is polled only if the provider may run it again."""
    poll = source.poll(job.kind)
    may_run_again = poll is not None and (poll.reopens or poll.attempt is not None)
    return job.state not in FINAL or job.provisional or may_run_again


def _is_mirrored(source: Source, job: Job, claim: Claim) -> bool:
    """Whether a reader of the mirror wants the answer, be the job finished or not."""
    return claim.payload == FOR_MIRROR and source.poll(job.kind) is not None


def _without_job(job: Job, failure: PollFailure, now: float) -> StatusUpdate | PollFailure:
    """The update for a job that the provider no longer has: expired, if it ever had it, and has said so
    for a minute; if not, it is `missing`.

    If a signed push said how the job ended, that counts instead, at once.
    """
    if job.unconfirmed:
        flags = (*job.unconfirmed.flags, UNCONFIRMED)
        return replace(job.unconfirmed, origin=Origin.POLL, flags=flags)
    if not job.seen or not (job.final or failed_polls.is_gone(job, failure.reason, now)):
        return replace(failure, kind="missing")
    return StatusUpdate(
        source=job.source,
        id=job.id,
        status="gone",
        state=State.EXPIRED,
        at=now,
        origin=Origin.POLL,
    )
