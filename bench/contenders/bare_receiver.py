"""The upper limit of a receiver: a Starlette endpoint that verifies a push and keeps nothing."""

import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.contenders import standard


async def hook(request: Request) -> Response:
    """Verify one push."""
    body = await request.body()
    if standard.verified(dict(request.scope["headers"]), body, time.time()) is None:
        return Response(status_code=401)
    return Response(standard.ACCEPTED, 202, media_type="application/json")


app = Starlette(routes=[Route("/hooks/bench", hook, methods=["POST"])])
