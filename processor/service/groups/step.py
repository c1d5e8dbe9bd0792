"""Changes a group: read, decide, commit; again after a conflict."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from processor import group_payload
from processor.event_filters import EventRouter
from processor.event_types import GROUP_COMPLETED
from processor.group import Group, GroupState, Member, completed, event_id
from processor.service.events.publish import delivery_item
from processor.service.runtime.contention import until_committed
from processor.service.runtime.context import Context
from processor.store.change import NewEvent
from processor.store.groups import LANE, GroupChange, GroupLookup, deadline_item, deadline_name

Decision = tuple[Group, Mapping[str, Member]]
"""The group afterwards, and the rows of its members that change."""


async def change(
    context: Context,
    group: str,
    decide: Callable[[GroupLookup, float], Decision | None],
    members: Sequence[str] = (),
) -> Group | None:
    """Change a group as `decide` says, which gets these members' rows, and the time.

    The group afterwards; None if `decide` returns None. A group that its members complete ends with
    this change, and its event is published; one that has ended never changes. Contention if others
    change it all the time.
    """
    attempt = partial(_try, context, group, decide, members)
    return await until_committed("group", context.store.groups.turns[group], attempt)


async def _try(
    context: Context,
    group: str,
    decide: Callable[[GroupLookup, float], Decision | None],
    members: Sequence[str],
) -> tuple[bool, Group | None]:
    """Change a group once: whether nobody else has changed it meanwhile, and what it is then."""
    lookup = await context.store.groups.read(group, members)
    now = await context.store.now()
    decision = decide(lookup, now)
    if decision is None:
        return True, None
    if lookup.group and lookup.group.state is not GroupState.RUNNING:
        return True, lookup.group
    after, rows = completed(decision[0], now), decision[1]
    if after == lookup.group and not rows:
        return True, after
    return await _commit(context, lookup, after, rows), after


async def _commit(
    context: Context, lookup: GroupLookup, after: Group, rows: Mapping[str, Member]
) -> bool:
    """Write a change; False if it was decided on what is not true any more."""
    before, store = lookup.group, context.store
    keys = store.groups.shard(after.id)
    router = await store.subscriptions.router(keys)
    ended = after.state is not GroupState.RUNNING
    moved = before is None or before.deadline_at != after.deadline_at
    done = await store.groups.commit(
        router.version,
        GroupChange(
            group=after,
            version=lookup.version,
            rows=rows,
            events=[await _event(context, router, after, rows)] if ended else [],
            items=[deadline_item(after)] if moved and not ended else [],
            dropped=[("ingest", LANE, deadline_name(after.id))] if ended else [],
        ),
        bounded=before is None or after.total > before.total,
    )
    if done is None:
        await store.subscriptions.router(keys, fresh=True)
    if done and ended:
        context.metrics.group_ended(after.state.value)
    return bool(done)


async def _event(
    context: Context, router: EventRouter, group: Group, rows: Mapping[str, Member]
) -> NewEvent:
    """The event of a group that has ended, with a delivery for each that wants it."""
    members = {**await context.store.groups.members(group.id), **rows}
    sources = context.settings.sources
    providers = [sources[name].profile.name for name in group.sources if name in sources]
    targets = [
        (s.id, s.id) for s in router.matching_group(group.sources, providers, group.metadata)
    ]
    if group.callback:
        targets.append((group.callback.id, group.callback.lane))
    event, at = event_id(group), group.finished_at or 0.0
    return NewEvent(
        id=event,
        type=GROUP_COMPLETED,
        body=group_payload.event_body(group, members),
        deliveries=tuple(
            delivery_item(event, GROUP_COMPLETED, target, lane, at, trace=group.trace)
            for target, lane in targets
        ),
    )
