"""The budget of a source's account: asked right before each request, parked by the answers.

All sources with the same token at the same base URL share one bucket; a source without a token has
its own.
"""

import structlog

from processor import provider, schedule
from processor.config import Source
from processor.errors import BudgetSpent
from processor.model import HttpResponse
from processor.provider import PollFailure
from processor.service.runtime.context import Context

log = structlog.get_logger()


def credential_of(source: Source) -> bytes:
    """What a bucket is for. It may hold a secret."""
    if not source.credential:
        return f"source {source.name}".encode()
    return source.account.base_url.rstrip("/").encode() + b" " + source.credential


async def take(context: Context, source: Source, left: int = 0) -> None:
    """Take one request; BudgetSpent if it may not be sent now.

    `left` requests of the burst stay for others.
    """
    until = await context.store.buckets.take(credential_of(source), source.budget, left)
    if until is not None:
        raise BudgetSpent(f"{source.name} cannot be polled now (rate limit); try again", until)


async def obey(
    context: Context, source: Source, response: HttpResponse, outcome: object = None
) -> None:
    """Let no request follow for as long as the provider wants none; `outcome` may be a PollFailure."""
    now = await context.store.now()
    pause = provider.exhausted_for(response.headers, now) or 0.0
    if isinstance(outcome, PollFailure) and outcome.kind == "throttled":
        pause = max(pause, schedule.source_pause("throttled", outcome.retry_after) or 0.0)
    elif pause:
        log.info("budget_exhausted", source=source.name, seconds=round(pause, 1))
    if pause:
        await context.store.buckets.park(credential_of(source), now + pause)
