"""Runs what a worker claimed from the `poll` backlog: polls of jobs, cancel calls, walks."""

from processor.service.jobs.decide import CANCEL
from processor.service.polling.cancel import cancel
from processor.service.polling.poll import poll
from processor.service.polling.poll_all import ALL, run_all
from processor.service.polling.postpone import wait_for_configuration
from processor.service.runtime.context import Context
from processor.store.work_items import Claim


async def run(context: Context, claim: Claim) -> None:
    """Run one claimed item; one whose source is not in the configuration waits for it."""
    source = context.settings.sources.get(claim.lane)
    if source is None:
        keys = context.store.shards[claim.shard]
        lookup = await context.store.jobs.find(keys, claim.item)
        await wait_for_configuration(context, claim, lookup.job)
    elif claim.item.startswith(CANCEL):
        await cancel(context, source, claim)
    elif claim.item.startswith(ALL):
        await run_all(context, source, claim)
    else:
        await poll(context, source, claim)
