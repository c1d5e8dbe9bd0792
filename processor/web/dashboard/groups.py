"""Groups: the list, and one group with its members."""

from starlette.requests import Request
from starlette.responses import Response

from processor import group_payload
from processor.service.groups import query
from processor.service.runtime.context import Context
from processor.web.dashboard.render import render
from processor.web.groups import group_id, page_of_groups, page_of_members


class Groups:
    """The handlers of /dashboard/groups."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: Request) -> Response:
        """A page of groups."""
        found = await page_of_groups(self._context, request)
        return render(request, "groups.html", groups=found.items, next=found.next)

    async def get(self, request: Request) -> Response:
        """One group, and a page of its members."""
        group = await query.find(self._context, group_id(request))
        members = await page_of_members(self._context, request)
        return render(
            request,
            "group.html",
            group=group_payload.view(group),
            members=members.items,
            next=members.next,
        )
