"""/v1/subscriptions and /v1/deliveries."""

from starlette.requests import Request
from starlette.responses import Response

from processor.errors import InvalidValue
from processor.service.delivery import history
from processor.service.replay import replay as replay_replay, retry as replay_retry
from processor.service.runtime.context import Context
from processor.service.subscriptions import manage, update
from processor.web.query_params import by_time, check_query, choice, page, segment
from processor.web.request_body import Json, read_as, read_nothing

ALL = 2 * history.MAX_LISTED  # deliveries: those that wait, and those that ended


class Subscriptions:
    """The handlers of /v1/subscriptions."""

    def __init__(self, context: Context) -> None:
        """Share what all handlers share."""
        self._context = context

    async def post(self, request: Request) -> Response:
        """Make one; its secret is shown this once."""
        check_query(request)
        wish = await read_as(request, replay_replay.CreateWithReplay)
        made, replayed = await replay_replay.create(self._context, wish)
        return Json(manage.view_with_secret(made) | ({"replay": replayed} if replayed else {}), 201)

    async def list(self, request: Request) -> Response:
        """All of them, the oldest first."""
        check_query(request, "limit", "cursor")
        found = await self._context.store.subscriptions.listed()
        shown = page(request, found, lambda s: (s.created_at, s.id))
        return Json({"items": [manage.view(s) for s in shown.items], "next": shown.next})

    async def get(self, request: Request) -> Response:
        """One."""
        check_query(request)
        return Json(manage.view(await manage.get(self._context, segment(request, "id"))))

    async def delete(self, request: Request) -> Response:
        """Remove one."""
        check_query(request)
        await read_nothing(request)
        await manage.remove(self._context, segment(request, "id"))
        return Response(status_code=204)

    async def rotate(self, request: Request) -> Response:
        """A new secret, shown this once."""
        check_query(request)
        await read_nothing(request)
        new = await manage.rotate(self._context, segment(request, "id"))
        return Json(manage.view_with_secret(new))

    async def public_key(self, request: Request) -> Response:
        """What verifies it, while it is signed with a private key."""
        check_query(request)
        keys = await manage.public_keys(self._context, segment(request, "id"))
        return Json({"keys": keys})

    async def test(self, request: Request) -> Response:
        """Send it a test event."""
        check_query(request)
        await read_nothing(request)
        event = await manage.test(self._context, segment(request, "id"))
        return Json({"event_id": event}, 202)

    async def patch(self, request: Request) -> Response:
        """Change what one wants."""
        check_query(request)
        wish = await read_as(request, update.UpdateSubscription)
        new = await update.change(self._context, segment(request, "id"), wish)
        return Json(manage.view(new))

    async def enable(self, request: Request) -> Response:
        """Let one get events again."""
        check_query(request)
        await read_nothing(request)
        new = await update.enable(self._context, segment(request, "id"))
        return Json(manage.view(new))

    async def replay(self, request: Request) -> Response:
        """Deliver what one missed."""
        check_query(request)
        wish = await read_as(request, replay_replay.ReplayRequest)
        done = await replay_replay.replay(self._context, segment(request, "id"), wish)
        return Json(done, 202)

    async def retry(self, request: Request) -> Response:
        """Make one delivery again."""
        check_query(request)
        await read_nothing(request)
        return Json(await replay_retry.retry(self._context, segment(request, "id")), 202)

    async def deliveries(self, request: Request) -> Response:
        """What was and will be delivered to one subscription, the newest first."""
        check_query(request, "subscription", "state", "limit", "cursor")
        target = request.query_params.get("subscription")
        if not target:
            raise InvalidValue("subscription: say whose deliveries")
        await manage.get(self._context, target)
        state = choice(request, "state", history.STATES)
        found = await history.list_deliveries(self._context, target, state, ALL)
        return Json(page(request, sorted(found, key=by_time), by_time))
