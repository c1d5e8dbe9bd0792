"""Reads groups for the API."""

from processor.errors import NotFound
from processor.group import Group, Member
from processor.service.runtime.context import Context


async def find(context: Context, group: str) -> Group:
    """A group, or NotFound."""
    found = (await context.store.groups.read(group)).group
    if found is None:
        raise missing(group)
    return found


async def members(context: Context, group: str) -> dict[str, Member]:
    """All members of a group, by `source/id`, in the order of its list."""
    await find(context, group)
    return await context.store.groups.members(group)


def missing(group: str) -> NotFound:
    """The error for a group that does not exist."""
    return NotFound(
        f"No group {group!r}: POST it to /v1/groups first, or `ringback group create` it"
    )
