"""Subscriptions: the list with their health, and one with its deliveries."""

from starlette.requests import Request
from starlette.responses import Response

from processor.service.delivery import history
from processor.service.runtime.context import Context
from processor.service.subscriptions import manage
from processor.web.dashboard.render import render
from processor.web.dashboard.sparkline import sparkline
from processor.web.query_params import choice, newest_first, page, segment


class Subscriptions:
    """The handlers of /dashboard/subscriptions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: Request) -> Response:
        """A page of subscriptions, oldest first."""
        found = await self._context.store.subscriptions.listed()
        shown = page(request, found, lambda s: (s.created_at, s.id))
        health = await history.health(self._context, shown.items)
        recent = await history.recent(self._context, [s.id for s in shown.items])
        rows = [(manage.view(s), health[s.id], sparkline(recent[s.id])) for s in shown.items]
        return render(request, "subscriptions.html", rows=rows, next=shown.next)

    async def get(self, request: Request) -> Response:
        """One subscription, and a page of its deliveries."""
        return await self.shown(request, segment(request, "id"))

    async def shown(self, request: Request, target: str, secret: str | None = None) -> Response:
        """The same, with a secret that was made a moment ago and is shown only now."""
        found = await manage.get(self._context, target)
        state = (
            choice(request, "state", history.STATES) if request.query_params.get("state") else None
        )
        deliveries = await history.list_deliveries(self._context, target, state, history.ALL)
        listed = page(request, sorted(deliveries, key=newest_first), newest_first)
        return render(
            request,
            "subscription.html",
            subscription=manage.view(found),
            health=(await history.health(self._context, [found]))[target],
            sparkline=sparkline((await history.recent(self._context, [target]))[target]),
            deliveries=listed.items,
            next=listed.next,
            states=history.STATES,
            secret=secret,
        )
