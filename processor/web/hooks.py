"""POST /hooks/{source}: the receiver. Refusals come in the order of the contract."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from processor import provider
from processor.config import Source
from processor.errors import RingbackError, WrongType
from processor.service.accepting import Receipt, Receiver
from processor.service.metrics import Metrics
from processor.web.bodies import read, segment
from processor.web.problems import explain

_encode = msgspec.json.Encoder().encode


class Hooks:
    """The receiver as an ASGI application."""

    def __init__(self, receiver: Receiver, metrics: Metrics) -> None:
        """Take pushes for `receiver`, and count what is refused."""
        self._receiver = receiver
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one push."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        name = ""
        try:
            source = self._receiver.source(segment(request, "source"))
            name = source.name
            receipt = await self._take(request, source)
        except RingbackError as error:
            response = explain(error)
            self._metrics.refused.labels(name, str(response.status_code)).inc()
            return response
        self._metrics.pushed(name, *receipt)
        return Response(_encode(receipt._asdict()), 202, media_type="application/json")

    async def _take(self, request: Request, source: Source) -> Receipt:
        body = await read(request)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw
        }
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise WrongType("Send the body uncompressed, as it was signed")
        provider.check_content_type(source.profile, headers.get("content-type"))
        return await self._receiver.take(source, headers, body)
