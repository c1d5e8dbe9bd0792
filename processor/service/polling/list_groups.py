"""Which jobs one request can poll: jobs of a claim, and jobs that are nearly due."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from processor.config import Source
from processor.model import Job
from processor.provider import ListRules, PollRules
from processor.service.polling.poll import may_still_change
from processor.service.runtime.context import Context
from processor.store.keys import Keys
from processor.store.work_items import Claim

NEARLY_DUE = 0.5  # of the shortest interval: so a list polls a job at most twice as often
WORTH_IT = 2  # jobs that one request must answer
MOST_PAGES = 10  # of one list
PAGE = 100  # jobs on a page, if the profile does not say
FILLED_BY_US = frozenset({"ids", "page", "last"})  # the placeholders that need no param of a job

Key = tuple[object, ...]


class ListGroup(NamedTuple):
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


async def list_groups(context: Context, source: Source, claims: Sequence[Claim]) -> list[ListGroup]:
    """The groups in claims of one kind and shard that are worth a list."""
    keys = context.store.shards[claims[0].shard]
    claimed = {claim.item: claim for claim in claims}
    now = await context.store.now()
    nearly = await _nearly_due(context, keys, source, claims[0].item, now)
    items = [*claimed, *(item for item in nearly if item not in claimed)]
    groups: dict[Key, ListGroup] = {}
    for item, lookup in zip(items, await context.store.jobs.read(keys, items), strict=True):
        job, claim = lookup.job, claimed.get(item)
        if job is None or not may_still_change(source, job):
            continue
        if claim is None and job.poll_not_before > now:
            continue
        if one := _group(source, job):
            group = groups.setdefault(one.key, one)
            group.jobs[job.id] = job
            if claim:
                group.claims[job.id] = claim
    return [g for g in groups.values() if g.claims and len(g.jobs) >= WORTH_IT]


async def _nearly_due(
    context: Context, keys: Keys, source: Source, like: str, now: float
) -> list[str]:
    """The items of a source that are due soon, or now, of the same kind as this one."""
    kind = _kind(source, like)
    poll = source.poll(kind)
    if poll is None or poll.list is None:
        return []
    until = now + NEARLY_DUE * poll.every[0]
    items = await context.store.backlogs.due_until(
        keys, "poll", source.name, until, _most_jobs(poll.list)
    )
    return [i for i in items if _rules(source, i) and _kind(source, i) == kind]


def _most_jobs(rules: ListRules) -> int:
    """How many jobs the lists of one group can answer."""
    if rules.most is None:
        return PAGE
    return rules.most if rules.names_jobs else MOST_PAGES * rules.most


def _group(source: Source, job: Job) -> ListGroup | None:
    """The group of a job, empty."""
    poll = source.poll(job.kind)
    if poll is None or poll.list is None:
        return None
    names = poll.list.placeholders - FILLED_BY_US - source.account.params.keys()
    params = {name: value for name, value in job.params.items() if name in names}
    return ListGroup(source, poll, poll.list, job.kind, params, {}, {})


def _kind(source: Source, item: str) -> str | None:
    return source.kind_of(item.partition("/")[2])


def _rules(source: Source, item: str) -> ListRules | None:
    """How the job of an item is listed; None if it is not, or if the item is no poll."""
    poll = source.poll(_kind(source, item)) if item.startswith(f"{source.name}/") else None
    return poll.list if poll else None
