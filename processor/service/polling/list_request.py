"""Sends a request that polls many jobs, and reads the response."""

from functools import partial

import structlog

from processor import provider
from processor.config import Source
from processor.config.redaction import redact
from processor.egress import NetworkScope
from processor.errors import BlockedTarget, ConfigError, InvalidValue, RequestFailed
from processor.model import HttpResponse
from processor.provider import ListedJobs, PollFailure
from processor.service.polling import budget
from processor.service.polling.list_answers import ListQuery
from processor.service.polling.poll import TIMEOUT
from processor.service.polling.read_answer import check_outcome, read_answer
from processor.service.runtime.context import Context

READ_AT_MOST = 4 * 1_048_576  # bytes of a page; 100 runs of GitHub have 2 MB

log = structlog.get_logger()


async def send(context: Context, query: ListQuery) -> tuple[HttpResponse, ListedJobs] | PollFailure:
    """Send a request for some jobs or a page; BudgetSpent if it may not be sent now."""
    batch, source = query.batch, query.batch.source
    asked_at = await context.store.now()
    try:
        account = await source.account_now()
    except ConfigError as error:
        return _failed(context, source, PollFailure("unauthorized", redact(source, str(error))))
    try:
        request = provider.build_list_request(
            batch.poll, account, batch.params, query.ids, query.page
        )
        response = await context.egress.request(
            request.method,
            request.url,
            headers=request.headers,
            scope=NetworkScope.CONFIGURED,
            timeout=TIMEOUT,
            read_limit=READ_AT_MOST,
            partial=True,
            may_send=partial(budget.take, context, source),
        )
    except (BlockedTarget, RequestFailed, InvalidValue) as error:
        return _failed(context, source, PollFailure("failed", redact(source, str(error))))
    outcome = await read_answer(
        response,
        lambda answer: provider.read_list_response(
            source.profile, source.name, batch.kind, answer, asked_at
        ),
    )
    await budget.obey(context, source, response, outcome)
    outcome = check_outcome(source, account, outcome)
    if isinstance(outcome, PollFailure):
        return _failed(context, source, outcome)
    context.metrics.polled(source.name, "answered")
    return response, outcome


def _failed(context: Context, source: Source, failure: PollFailure) -> PollFailure:
    context.metrics.polled(source.name, failure.kind)
    log.info("list_failed", source=source.name, kind=failure.kind, reason=failure.reason)
    return failure
