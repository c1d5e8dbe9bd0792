"""The provider's cancel call of a job whose deadline has passed: sent once, noted in the history.

It is sent again if the provider was too busy to read it (429) or refused a token that has been
renewed since, or if a worker dies between the provider's answer and its commit. Without a token it
waits.
"""

from functools import partial

import structlog

from processor import provider, schedule
from processor.config import Source
from processor.config.redaction import redact
from processor.egress import NetworkScope
from processor.errors import BlockedTarget, BudgetSpent, ConfigError, InvalidValue, RequestFailed
from processor.model import HistoryEntry, Job, Origin
from processor.provider import PollFailure
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import CANCEL, IncomingUpdate, has_later_deadline
from processor.service.jobs.failed_polls import MAX_ERROR, as_update
from processor.service.polling import budget
from processor.service.polling.poll import TIMEOUT
from processor.service.polling.postpone import put_back, wait_for_configuration
from processor.service.polling.read_answer import check_outcome
from processor.service.runtime.context import Context
from processor.store.work_items import Claim, Settlement

MAX_SENT = 5  # times that a call is sent whose answers are among …
SENT_AGAIN = frozenset({"throttled", "outdated"})
SENT, FAILED = "cancel_sent", "cancel_failed"

log = structlog.get_logger()


async def cancel(context: Context, source: Source, claim: Claim) -> None:
    """Make one claimed call, unless the job has ended or runs again by now.

    If a PUT has given the job a later deadline meanwhile, the call waits until then.
    """
    keys = context.store.shards[claim.shard]
    (lookup,) = await context.store.jobs.read(keys, [claim.item.removeprefix(CANCEL)])
    job = lookup.job
    attempt, sent = _numbers(claim)
    if job is None or not job.provisional or job.attempt != attempt:
        await context.store.backlogs.settle([Settlement(claim)])
        return
    if has_later_deadline(job, await context.store.now()):
        again = Settlement(claim, job.deadline_at, claim.payload)
        await context.store.backlogs.settle([again])
        return
    if source.poll(job.kind) is None:  # as a poll does
        await wait_for_configuration(context, claim, job)
        return
    try:
        failure = await _send(context, source, job)
    except BudgetSpent as error:
        await put_back(context, claim, error.until)
        return
    except ConfigError as error:
        await _wait_for_token(context, source, job, claim, redact(source, str(error)))
        return
    if failure and failure.kind in SENT_AGAIN and sent + 1 < MAX_SENT:
        claim.payload = b"%d %d" % (attempt, sent + 1)
        pause = schedule.source_pause(failure.kind, failure.retry_after) or 0.0
        await put_back(context, claim, await context.store.now() + pause)
        return
    problem = failure.reason[:MAX_ERROR] if failure else ""
    if problem:
        log.warning("cancel_failed", source=source.name, job=job.id, reason=problem)
    update = as_update(job, problem or SENT, await context.store.now())
    await advance(context, keys, [IncomingUpdate(update, claim, note=_entry(job, problem))])


def _numbers(claim: Claim) -> tuple[int, int]:
    """The attempt of the job that is to be canceled, and how often the call was sent."""
    attempt, _, sent = claim.payload.partition(b" ")
    return int(attempt), int(sent or 0)


async def _wait_for_token(
    context: Context, source: Source, job: Job, claim: Claim, reason: str
) -> None:
    """Put a call back that was not sent, and pause and stall its source, as a poll does."""
    pause = schedule.UNAUTHORIZED_PAUSE
    log.warning("cancel_postponed", source=source.name, job=job.id, reason=reason, again_in=pause)
    await context.store.stalled_sources.note(source.name, reason)
    await put_back(context, claim, await context.store.now() + pause)


async def _send(context: Context, source: Source, job: Job) -> PollFailure | None:
    """Ask the provider to cancel a job; why it did not take the request, if it did not.

    Raises ConfigError if there is no token, and BudgetSpent if the request may not be sent now.
    """
    asked_at = await context.store.now()
    account = await source.account_now()
    try:
        request = provider.build_cancel_request(
            source.profile, job.kind, job.id, account, job.params
        )
        response = await context.egress.request(
            request.method,
            request.url,
            headers=request.headers,
            body=b"",
            scope=NetworkScope.CONFIGURED,
            timeout=TIMEOUT,
            partial=True,
            may_send=partial(budget.take, context, source),
        )
    except (BlockedTarget, RequestFailed, InvalidValue) as error:
        return PollFailure("failed", redact(source, str(error)))
    failure = provider.read_cancel_response(source.profile, job.kind, response, asked_at)
    await budget.obey(context, source, response, failure)
    failure = check_outcome(source, account, failure)
    if failure is None or failure.kind not in {"unauthorized", "outdated"}:
        await context.store.stalled_sources.clear(source.name)
    return failure


def _entry(job: Job, problem: str) -> HistoryEntry:
    return HistoryEntry(
        origin=Origin.DEADLINE,
        status=problem or SENT,
        state=job.state,
        was=job.state,
        attempt=job.attempt,
        ignored=FAILED if problem else SENT,
    )
