"""Which jobs one request can poll: jobs of a claim, and jobs that are nearly due."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from processor.config import Source
from processor.model import Job
from processor.provider import ListRules, PollRules
from processor.service.jobs.poll_interval import allowed_from
from processor.service.runtime.context import Context
from processor.store.keys import Keys
from processor.store.work_items import Claim

NEARLY_DUE = 0.5  # of the shortest interval: so a list polls a job at most twice as often
WORTH_IT = 2  # jobs that one request must answer
MOST_PAGES = 10  # of one list
PAGE = 100  # jobs on a page, if the profile does not say
FILLED_BY_US = frozenset({"ids", "page", "last"})  # the placeholders that need no param of a job

Key = tuple[object, ...]
Value = TypeVar("Value")


class ListBatch(NamedTuple):
    """Jobs of one source and kind, with the same params: those that the request needs."""

    source: Source
    poll: PollRules
    rules: ListRules
    kind: str | None
    params: Mapping[str, str]
    jobs: dict[str, Job]  # by id, the claimed ones first
    claims: dict[str, Claim]  # by id; jobs without a claim are nearly due

    @property
    def key(self) -> Key:
        """What these jobs have in common."""
        return self.source.name, self.kind, *sorted(self.params.items())


def by_kind(context: Context, claims: Sequence[Claim]) -> tuple[list[list[Claim]], list[Claim]]:
    """Claims by source and kind, where there is a list of these jobs; and all other claims."""
    with_list: dict[Key, list[Claim]] = {}
    others = []
    for claim in claims:
        source = context.settings.sources.get(claim.lane)
        if source and _rules(source, claim.item):
            with_list.setdefault((source.name, _kind(source, claim.item)), []).append(claim)
        else:
            others.append(claim)
    return list(with_list.values()), others


async def list_batches(
    context: Context, source: Source, claims: Sequence[Claim], rests: Callable[[Key], bool]
) -> list[ListBatch]:
    """The batches in claims of one kind and shard that are worth a list."""
    keys = context.store.shards[claims[0].shard]
    batches: dict[Key, ListBatch] = {}
    claimed = {claim.item: claim for claim in claims}
    for job, claim in await _jobs(context, keys, claimed):
        batch = _batch(source, job)
        if batch and not rests(batch.key):
            batch = batches.setdefault(batch.key, batch)
            batch.jobs[job.id], batch.claims[job.id] = job, claim
    if batches:
        await _add_nearly_due(context, keys, source, batches, claimed)
    return [batch for batch in batches.values() if len(batch.jobs) >= WORTH_IT]


async def _jobs(
    context: Context, keys: Keys, items: Mapping[str, Value]
) -> list[tuple[Job, Value]]:
    """The jobs of items, without those that have ended: whether they run again, a list may not know."""
    lookups = await context.store.jobs.read(keys, list(items))
    rows = zip(lookups, items.values(), strict=True)
    return [(u.job, v) for u, v in rows if u.job and not u.job.final]


async def _add_nearly_due(
    context: Context,
    keys: Keys,
    source: Source,
    batches: Mapping[Key, ListBatch],
    claimed: Mapping[str, Claim],
) -> None:
    """Add jobs that are due soon, or now, to the batches that would have them."""
    poll, rules, kind = next((g.poll, g.rules, g.kind) for g in batches.values())
    now = await context.store.now()
    until, most = now + NEARLY_DUE * poll.every[0], _most_jobs(rules)
    due = await context.store.backlogs.due_until(keys, "poll", source.name, until, most)
    alike = [item for item in due if _rules(source, item) and _kind(source, item) == kind]
    others = {item: None for item in alike if item not in claimed}
    for job, _ in await _jobs(context, keys, others):
        own = _batch(source, job)
        batch = batches.get(own.key) if own and allowed_from(job, now) <= now else None
        if batch:
            batch.jobs[job.id] = job


def _most_jobs(rules: ListRules) -> int:
    """How many jobs the lists of one batch can answer."""
    if rules.most is None:
        return PAGE
    return rules.most if rules.names_jobs else MOST_PAGES * rules.most


def _batch(source: Source, job: Job) -> ListBatch | None:
    """The batch of a job, empty."""
    poll = source.poll(job.kind)
    if poll is None or poll.list is None:
        return None
    names = poll.list.placeholders - FILLED_BY_US - source.account.params.keys()
    params = {name: value for name, value in job.params.items() if name in names}
    return ListBatch(source, poll, poll.list, job.kind, params, {}, {})


def _kind(source: Source, item: str) -> str | None:
    return source.kind_of(item.partition("/")[2])


def _rules(source: Source, item: str) -> ListRules | None:
    """How the job of an item is listed; None if it is not, or if the item is no poll."""
    poll = source.poll(_kind(source, item)) if item.startswith(f"{source.name}/") else None
    return poll.list if poll else None
