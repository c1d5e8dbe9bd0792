"""/v1/subscriptions and /v1/deliveries."""

from starlette.requests import Request
from starlette.responses import Response

from processor.errors import Invalid
from processor.service import changing, replaying, retrying, subscribing
from processor.service.context import Context
from processor.web.bodies import Json, read_as, read_nothing
from processor.web.queries import by_time, check_query, choice, page, segment

ALL = 2 * subscribing.MOST_LISTED  # deliveries: those that wait, and those that ended


class Subscriptions:
    """The handlers of /v1/subscriptions."""

    def __init__(self, context: Context) -> None:
        """Share what all handlers share."""
        self._context = context

    async def post(self, request: Request) -> Response:
        """Make one; its secret is shown this once."""
        check_query(request)
        wish = await read_as(request, replaying.Wish)
        made, replayed = await replaying.create(self._context, wish)
        return Json(subscribing.once(made) | ({"replay": replayed} if replayed else {}), 201)

    async def list(self, request: Request) -> Response:
        """All of them, the oldest first."""
        check_query(request, "limit", "cursor")
        found = await self._context.store.targets.listed()
        shown = page(request, found, lambda s: (s.created_at, s.id))
        return Json({"items": [subscribing.view(s) for s in shown.items], "next": shown.next})

    async def get(self, request: Request) -> Response:
        """One."""
        check_query(request)
        return Json(subscribing.view(await subscribing.get(self._context, segment(request, "id"))))

    async def delete(self, request: Request) -> Response:
        """Remove one."""
        check_query(request)
        await read_nothing(request)
        await subscribing.remove(self._context, segment(request, "id"))
        return Response(status_code=204)

    async def rotate(self, request: Request) -> Response:
        """A new secret, shown this once."""
        check_query(request)
        await read_nothing(request)
        new = await subscribing.rotate(self._context, segment(request, "id"))
        return Json(subscribing.once(new))

    async def public_key(self, request: Request) -> Response:
        """What verifies it, while it is signed with a private key."""
        check_query(request)
        keys = await subscribing.public_keys(self._context, segment(request, "id"))
        return Json({"keys": keys})

    async def test(self, request: Request) -> Response:
        """Send it a test event."""
        check_query(request)
        await read_nothing(request)
        event = await subscribing.test(self._context, segment(request, "id"))
        return Json({"event_id": event}, 202)

    async def patch(self, request: Request) -> Response:
        """Change what one wants."""
        check_query(request)
        wish = await read_as(request, changing.Change)
        new = await changing.change(self._context, segment(request, "id"), wish)
        return Json(subscribing.view(new))

    async def enable(self, request: Request) -> Response:
        """Let one get events again."""
        check_query(request)
        await read_nothing(request)
        new = await changing.enable(self._context, segment(request, "id"))
        return Json(subscribing.view(new))

    async def replay(self, request: Request) -> Response:
        """Deliver what one missed."""
        check_query(request)
        wish = await read_as(request, replaying.Replay)
        done = await replaying.replay(self._context, segment(request, "id"), wish)
        return Json(done, 202)

    async def retry(self, request: Request) -> Response:
        """Make one delivery again."""
        check_query(request)
        await read_nothing(request)
        return Json(await retrying.retry(self._context, segment(request, "id")), 202)

    async def deliveries(self, request: Request) -> Response:
        """What was and will be delivered to one subscription, the newest first."""
        check_query(request, "subscription", "state", "limit", "cursor")
        target = request.query_params.get("subscription")
        if not target:
            raise Invalid("subscription: say whose deliveries")
        await subscribing.get(self._context, target)
        state = choice(request, "state", subscribing.STATES)
        found = await subscribing.deliveries(self._context, target, state, ALL)
        return Json(page(request, sorted(found, key=by_time), by_time))
