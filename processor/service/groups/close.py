"""Closes an open group, and deletes a group."""

from msgspec.structs import replace

from processor.group import Group
from processor.service.groups.query import missing
from processor.service.groups.step import Decision, change
from processor.service.runtime.context import Context
from processor.store.groups import GroupLookup


async def close(context: Context, group: str) -> Group:
    """Take no more members: the group ends with those that it has."""

    def decide(lookup: GroupLookup, _: float) -> Decision | None:
        return (replace(lookup.group, open=False), {}) if lookup.group else None

    found = await change(context, group, decide)
    if found is None:
        raise missing(group)
    return found


async def delete(context: Context, group: str) -> None:
    """Forget a group; its jobs stay, and nobody is called back."""
    if not await context.store.groups.delete(group):
        raise missing(group)
