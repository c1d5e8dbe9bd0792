"""The three pumps of a worker: how claims of the `ingest`, `poll` and `deliver` backlogs are run.

The actors are declared in `workers.__main__`; each runs the pump of its backlog.
"""

from processor.service.delivery.deliver import Deliverer
from processor.service.groups.apply_together import ApplyTogether
from processor.service.jobs import ingest as ingesting
from processor.service.jobs.commit_together import CommitTogether
from processor.service.polling import poll as polling
from processor.service.polling.list_batches import by_kind
from processor.service.polling.list_poll import ListPoller
from processor.service.polling.run import run as run_poll
from processor.service.runtime.context import Context
from processor.service.runtime.outage import Outage
from processor.store.groups import LANE as GROUPS
from processor.store.work_items import Claim
from workers.handover import DeliveryHandover
from workers.pump import FAIR_PART, Pump, WorkUnit


def all_pumps(context: Context, outage: Outage) -> dict[str, Pump]:
    """The pumps by backlog. The deliveries that ingest and poll commit are handed over at once."""
    deliverer = Deliverer(context)
    delivery = deliver(context, outage, deliverer)
    handover = DeliveryHandover(delivery, deliverer, context.store.memory)
    committing = context._replace(handover=handover)
    return {
        "ingest": ingest(committing, outage),
        "poll": poll(committing._replace(committer=CommitTogether(committing)), outage),
        "deliver": delivery,
    }


def ingest(context: Context, outage: Outage) -> Pump:
    """Takes jobs through accepted updates: a batch a commit, two at a time under load."""
    size, together = ingesting.MAX_BATCH, ApplyTogether(context)

    async def start_batch(claims: list[Claim]) -> list[WorkUnit]:
        groups = [claim for claim in claims if claim.lane == GROUPS]
        updates = [claim for claim in claims if claim.lane != GROUPS] if groups else claims
        if updates and len(updates) < size:
            await ingesting.ingest(context, updates)  # we have caught up: the next batch grows
            updates = []
        units: list[WorkUnit] = []
        if updates:
            units.append((updates, ingesting.ingest(context, updates)))
        if groups:
            units.append((groups, together.add(groups)))
        return units

    return Pump(
        *(context, outage, "ingest"),
        claim_size=size,
        max_in_flight=2 * size,
        lane_limits=lambda _: ingesting.LANE_LIMITS,
        start_batch=start_batch,
        claims_at_nudge=True,
    )


def poll(context: Context, outage: Outage) -> Pump:
    """Polls providers: many jobs at a time, each source within its own limits."""
    lists = ListPoller(context)

    async def start_batch(claims: list[Claim]) -> list[WorkUnit]:
        claims.sort(key=lambda claim: claim.due)  # sources may share a budget
        with_list, others = by_kind(context, claims)
        units: list[WorkUnit] = [(part, lists.poll(part)) for part in with_list]
        return units + [([claim], run_poll(context, claim)) for claim in others]

    memory = context.store.memory
    return Pump(
        *(context, outage, "poll"),
        max_in_flight=1000,
        lane_limits=polling.lane_limits(context),
        start_batch=start_batch,
        may_claim=lambda: memory.may_poll,
    )


def deliver(context: Context, outage: Outage, deliverer: Deliverer | None = None) -> Pump:
    """Delivers events to subscribers: many at a time, no lane waits for another."""
    deliverer = deliverer or Deliverer(context)
    breakers = deliverer.breakers

    async def start_batch(claims: list[Claim]) -> list[WorkUnit]:
        await breakers.refresh()
        return [([post.claim], deliverer.deliver(post)) for post in await deliverer.read(claims)]

    return Pump(
        *(context, outage, "deliver"),
        max_in_flight=1000,
        claim_part=FAIR_PART,
        lane_limits=breakers.lane_limits,
        start_batch=start_batch,
        before_run=breakers.refresh,
    )
