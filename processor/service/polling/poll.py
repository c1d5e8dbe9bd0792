"""The `poll` backlog: ask the provider about a job, and take the job through the answer."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import structlog
from msgspec.structs import replace

from processor import provider, schedule
from processor.config import Source
from processor.config.redaction import masked
from processor.egress import NetworkScope
from processor.errors import BlockedTarget, InvalidValue, RequestFailed
from processor.model import FINAL, HttpResponse, Job, Origin, State, StatusUpdate
from processor.provider import PollFailure
from processor.service.jobs.advance import advance
from processor.service.jobs.confirmation import UNCONFIRMED
from processor.service.jobs.decide import IncomingUpdate, poll_interval
from processor.service.polling.last_answer import LastAnswer
from processor.service.runtime.context import Context, random_unit
from processor.store.jobs import name_of
from processor.store.keys import Keys
from processor.store.work_items import Claim, LaneLimits, Settlement

TIMEOUT = 10.0  # seconds for a provider's answer
READ_AT_MOST = 1_048_576  # bytes of an answer
MAX_IN_FLIGHT = 64  # questions that one source is asked at the same time
NO_PARAMS: Mapping[str, str] = MappingProxyType({})

log = structlog.get_logger()


def pace(context: Context) -> Callable[[str], LaneLimits]:
    """How fast each source may be asked."""

    def of(lane: str) -> LaneLimits:
        source = context.settings.sources.get(lane)
        return LaneLimits(MAX_IN_FLIGHT, source.budget if source else None)

    return of


async def ask(
    context: Context,
    source: Source,
    job: str,
    params: Mapping[str, str] = NO_PARAMS,
    last: LastAnswer | None = None,
) -> tuple[HttpResponse | None, StatusUpdate | PollFailure]:
    """Ask about a job once; its answer, and what it says. Nothing is written.

    With the last answer only news is asked for; 304 is that answer once more.
    """
    kind = source.kind_of(job)
    asked_at = await context.store.now()
    try:
        request = provider.request(source.profile, kind, job, source.account_now(), params)
        answer = await context.egress.request(
            request.method,
            request.url,
            headers={**request.headers, **(last.condition() if last else {})},
            scope=NetworkScope.CONFIGURED,
            timeout=TIMEOUT,
            read_limit=READ_AT_MOST,
            partial=True,
        )
    except (BlockedTarget, RequestFailed, InvalidValue) as error:
        context.metrics.polled(source.name, "failed")
        return None, PollFailure("failed", str(error), None)
    if last and answer.status == 304:  # noqa: PLR2004 - Not Modified
        answer = last.again(answer)
    told = provider.read_poll_response(source.profile, source.name, kind, job, answer, asked_at)
    if isinstance(told, PollFailure):
        told = replace(told, reason=masked(source, told.reason))
    context.metrics.polled(source.name, told.kind if isinstance(told, PollFailure) else "answered")
    return answer, told


async def poll(context: Context, claim: Claim) -> None:
    """Ask about one claimed job, and write what comes of it."""
    keys = context.store.shards[claim.shard]
    source = context.settings.sources.get(claim.lane)
    (known,) = await context.store.jobs.read(keys, [claim.item])
    job = known.job
    if source is None:  # not configured (any more), but perhaps again
        later = await context.store.now() + schedule.UNAUTHORIZED_PAUSE
        await context.store.backlogs.settle([Settlement(claim, later, claim.payload)])
        return
    if job is None or not _worth_asking(source, job):
        await context.store.backlogs.settle([Settlement(claim)])
        return
    last = await _last(context, keys, source, job)
    answer, told = await ask(context, source, job.id, job.params, last)
    if isinstance(told, PollFailure) and told.kind == "gone":
        told = _gone(job, told, await context.store.now())
    if isinstance(told, PollFailure):
        await _put_off(context, claim, source, job, told)
    else:
        await advance(
            context,
            keys,
            [IncomingUpdate(told, claim, LastAnswer.of(answer).packed() if answer else None)],
        )
        await context.store.clear_stall(source.name)


async def _last(context: Context, keys: Keys, source: Source, job: Job) -> LastAnswer | None:
    """The last answer, where the provider can be asked for news only."""
    poll = source.poll(job.kind)
    stored = await context.store.jobs.answer(keys, name_of(job)) if poll and poll.etag else None
    return None if stored is None else LastAnswer.unpacked(stored)


def _worth_asking(source: Source, job: Job) -> bool:
    """A finished job is asked about only where the provider may run it again."""
    poll = source.poll(job.kind)
    again = poll is not None and (poll.reopens or poll.attempt is not None)
    return poll is not None and (job.state not in FINAL or job.provisional or again)


def _gone(job: Job, trouble: PollFailure, now: float) -> StatusUpdate | PollFailure:
    """The provider has the job no more: that is its word, if it ever had it.

    A signed push that said how the job ended is a better word.
    """
    if job.claimed:
        flags = (*job.claimed.flags, UNCONFIRMED)
        return replace(job.claimed, origin=Origin.POLL, flags=flags)
    if not job.seen:
        return trouble
    return StatusUpdate(
        source=job.source,
        id=job.id,
        status="gone",
        state=State.EXPIRED,
        at=now,
        origin=Origin.POLL,
    )


async def _put_off(
    context: Context, claim: Claim, source: Source, job: Job, trouble: PollFailure
) -> None:
    """Ask again later; where the whole account is refused or throttled, rest its lane."""
    now = await context.store.now()
    failures = int(claim.payload) + 1
    interval = poll_interval(job, source, now, random_unit())
    later = now + schedule.poll_pause(failures, interval, trouble.retry_after)
    rest = schedule.source_pause(trouble.kind, trouble.retry_after)
    say = log.warning if trouble.kind == "unauthorized" else log.info
    say(
        "poll_failed",
        source=source.name,
        job=job.id,
        kind=trouble.kind,
        reason=trouble.reason,
        again_in=round(max(later - now, rest or 0), 1),
    )
    if trouble.kind == "unauthorized":
        await context.store.stall(source.name, trouble.reason)
    if rest is not None:  # nobody's fault but the account's: the job is asked first thing after
        failures, later = int(claim.payload), now + rest
    await context.store.backlogs.settle(
        [Settlement(claim, later, str(failures).encode())],
        [(claim, now + rest)] if rest is not None else [],
    )
