"""The provider's cancel call of a job whose deadline has passed: sent once, noted in the history.

At least once, to be exact: if a worker dies between the provider's answer and its commit, the call
is made again when the lease has ended.
"""

from functools import partial

import structlog

from processor import provider
from processor.config import Source
from processor.config.redaction import redact
from processor.egress import NetworkScope
from processor.errors import BlockedTarget, BudgetSpent, ConfigError, InvalidValue, RequestFailed
from processor.model import HistoryEntry, Job, Origin
from processor.provider.poll_response import excerpt
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import CANCEL, IncomingUpdate
from processor.service.jobs.failed_polls import MAX_ERROR, as_update
from processor.service.polling import budget
from processor.service.polling.postpone import put_back
from processor.service.runtime.context import Context
from processor.store.work_items import Claim, Settlement

TIMEOUT = 10.0  # seconds for a provider's answer
SENT, FAILED = "cancel_sent", "cancel_failed"

log = structlog.get_logger()


async def cancel(context: Context, source: Source, claim: Claim) -> None:
    """Make one claimed call, unless the job has ended or runs again by now."""
    keys = context.store.shards[claim.shard]
    (lookup,) = await context.store.jobs.read(keys, [claim.item.removeprefix(CANCEL)])
    job = lookup.job
    if job is None or not job.provisional or job.attempt != int(claim.payload):
        await context.store.backlogs.settle([Settlement(claim)])
        return
    try:
        problem = await _send(context, source, job)
    except BudgetSpent as error:
        await put_back(context, claim, error.until)
        return
    if problem:
        log.warning("cancel_failed", source=source.name, job=job.id, reason=problem)
    update = as_update(job, problem or SENT, await context.store.now())
    await advance(context, keys, [IncomingUpdate(update, claim, note=_entry(job, problem))])


async def _send(context: Context, source: Source, job: Job) -> str:
    """Ask the provider to cancel a job; why it did not take the request, or nothing."""
    try:
        request = provider.build_cancel_request(
            source.profile, job.kind, job.id, await source.account_now(), job.params
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
    except (BlockedTarget, ConfigError, RequestFailed, InvalidValue) as error:
        return redact(source, str(error))[:MAX_ERROR]
    await budget.obey(context, source, response)
    if 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's success
        return ""
    reason = redact(source, f"HTTP {response.status}: {excerpt(response.body)}")
    return reason[:MAX_ERROR]


def _entry(job: Job, problem: str) -> HistoryEntry:
    return HistoryEntry(
        origin=Origin.DEADLINE,
        status=problem or SENT,
        state=job.state,
        was=job.state,
        attempt=job.attempt,
        ignored=FAILED if problem else SENT,
    )
