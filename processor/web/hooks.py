"""POST /hooks/{source}: the receiver. Refusals come in the order of the contract.

The one busy call, so it speaks ASGI itself instead of going through router and middleware.
"""

from urllib.parse import unquote

import msgspec
from starlette.types import Receive, Scope, Send

from processor import provider
from processor.config import Source
from processor.errors import WrongType
from processor.service.accepting import Receipt, Receiver
from processor.service.metrics import Metrics
from processor.web.bodies import whole
from processor.web.problems import explain, problem

PATH = "/hooks/"

_encode = msgspec.json.Encoder().encode
_HEADERS = [(b"content-type", b"application/json")]


class Hooks:
    """The receiver as an ASGI application."""

    def __init__(self, receiver: Receiver, metrics: Metrics) -> None:
        """Take pushes for `receiver`, and count what is refused."""
        self._receiver = receiver
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one push."""
        if scope["method"] != "POST":
            refusal = problem(405, "Method Not Allowed", "Pushes are POSTed", {"allow": "POST"})
            await refusal(scope, receive, send)
            return
        name = ""
        try:
            source = self._receiver.source(unquote(scope["path"][len(PATH) :]))
            name = source.name
            receipt = await self._take(scope, receive, source)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the provider gets an answer
            response = explain(error)
            self._metrics.refused.labels(name, str(response.status_code)).inc()
            await response(scope, receive, send)
            return
        self._metrics.pushed(name, *receipt)
        await _accepted(send, receipt)

    async def _take(self, scope: Scope, receive: Receive, source: Source) -> Receipt:
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        body = await whole(headers.get("content-length", "0"), receive)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise WrongType("Send the body uncompressed, as it was signed")
        provider.check_content_type(source.profile, headers.get("content-type"))
        return await self._receiver.take(source, headers, body)


async def _accepted(send: Send, receipt: Receipt) -> None:
    body = _encode(receipt._asdict())
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 202, "headers": [*_HEADERS, length]})
    await send({"type": "http.response.body", "body": body})
