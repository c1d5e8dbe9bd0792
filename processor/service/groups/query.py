"""Finds a group for the API."""

from processor.errors import NotFound
from processor.group import Group
from processor.service.runtime.context import Context


async def find(context: Context, group: str) -> Group:
    """A group, or NotFound."""
    found = (await context.store.groups.read(group)).group
    if found is None:
        raise missing(group)
    return found


def missing(group: str) -> NotFound:
    """The error for a group that does not exist."""
    return NotFound(
        f"No group {group!r}: POST it to /v1/groups first, or `ringback group create` it"
    )
