"""/v1/subscriptions and /v1/deliveries."""

from starlette.requests import Request
from starlette.responses import Response

from processor.errors import InvalidValue
from processor.service.delivery import history
from processor.service.replay import replay as replay_replay, retry as replay_retry
from processor.service.runtime.context import Context
from processor.service.subscriptions import manage, update
from processor.service.subscriptions.validation import lane_of_target
from processor.web.query_params import check_query, choice, newest_first, page, segment
from processor.web.request_body import Json, read_as, read_nothing, read_optional


class Subscriptions:
    """The handlers of /v1/subscriptions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def post(self, request: Request) -> Response:
        """Create a subscription; its secret is shown only now."""
        check_query(request)
        body = await read_as(request, replay_replay.CreateWithReplay)
        made, replayed = await replay_replay.create(self._context, body)
        return Json(manage.view_with_secret(made) | ({"replay": replayed} if replayed else {}), 201)

    async def list(self, request: Request) -> Response:
        """List all subscriptions, oldest first."""
        check_query(request, "limit", "cursor")
        found = await self._context.store.subscriptions.listed()
        shown = page(request, found, lambda s: (s.created_at, s.id))
        return Json({"items": [manage.view(s) for s in shown.items], "next": shown.next})

    async def get(self, request: Request) -> Response:
        """Get a subscription."""
        check_query(request)
        return Json(manage.view(await manage.get(self._context, segment(request, "id"))))

    async def delete(self, request: Request) -> Response:
        """Remove a subscription."""
        check_query(request)
        await read_nothing(request)
        await manage.remove(self._context, segment(request, "id"))
        return Response(status_code=204)

    async def rotate(self, request: Request) -> Response:
        """Create a new secret; it is shown only now."""
        check_query(request)
        await read_nothing(request)
        new = await manage.rotate(self._context, segment(request, "id"))
        return Json(manage.view_with_secret(new))

    async def public_key(self, request: Request) -> Response:
        """Get the public keys of a subscription with `v1a` signatures."""
        check_query(request)
        keys = await manage.public_keys(self._context, segment(request, "id"))
        return Json({"keys": keys})

    async def test(self, request: Request) -> Response:
        """Send a test event."""
        check_query(request)
        await read_nothing(request)
        event = await manage.test(self._context, segment(request, "id"))
        return Json({"event_id": event}, 202)

    async def patch(self, request: Request) -> Response:
        """Change settings."""
        check_query(request)
        body = await read_as(request, update.UpdateSubscription)
        new = await update.change(self._context, segment(request, "id"), body)
        return Json(manage.view(new))

    async def enable(self, request: Request) -> Response:
        """Enable a subscription."""
        check_query(request)
        await read_nothing(request)
        new = await update.enable(self._context, segment(request, "id"))
        return Json(manage.view(new))

    async def replay(self, request: Request) -> Response:
        """Deliver what a subscription missed."""
        check_query(request)
        body = await read_as(request, replay_replay.ReplayRequest)
        done = await replay_replay.replay(self._context, segment(request, "id"), body)
        return Json(done, 202)

    async def retry(self, request: Request) -> Response:
        """Retry a delivery."""
        check_query(request)
        body = await read_optional(request, replay_retry.RetryRequest)
        name = segment(request, "id")
        return Json(await replay_retry.retry(self._context, name, again=body.again), 202)

    async def retry_all(self, request: Request) -> Response:
        """Retry all deliveries of a subscription that wait for their next attempt."""
        check_query(request)
        body = await read_as(request, replay_retry.RetryAllRequest)
        return Json({"due": await replay_retry.retry_all(self._context, body)}, 202)

    async def deliveries(self, request: Request) -> Response:
        """List the deliveries of a subscription, newest first."""
        check_query(request, "subscription", "state", "limit", "cursor")
        target = request.query_params.get("subscription")
        if not target:
            raise InvalidValue(
                "subscription: it is missing; name the subscription whose deliveries to list"
            )
        lane = lane_of_target(await replay_retry.delivery_target(self._context, target))
        state = choice(request, "state", history.STATES)
        found = await history.list_deliveries(self._context, target, state, history.ALL, lane)
        return Json(page(request, sorted(found, key=newest_first), newest_first))
