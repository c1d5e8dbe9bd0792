"""/hooks/{source}: the receiver. Refusals come in the order of the contract.

The one busy call, so it speaks ASGI itself instead of going through router and middleware.
"""

from http import HTTPStatus
from urllib.parse import unquote

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from processor import provider
from processor.config import Source
from processor.errors import WrongType
from processor.model import Push
from processor.service.pushes.receive import Receipt, Receiver
from processor.service.runtime.metrics import Metrics
from processor.web.client_address import sender_of
from processor.web.large_body_queue import LargeBodyQueue, LargeBodySlot
from processor.web.problems import explain, problem
from processor.web.rate_limit import KeylessRateLimit
from processor.web.request_body import whole

PATH = "/hooks/"
METHODS = ("POST", "OPTIONS")
ALLOWED = ", ".join(METHODS)

_encode = msgspec.json.Encoder().encode
_HEADERS = [(b"content-type", b"application/json")]


class Hooks:
    """The receiver as an ASGI application."""

    def __init__(self, receiver: Receiver, metrics: Metrics, calls: KeylessRateLimit) -> None:
        """Take pushes for `receiver`; count what is refused, and space it out."""
        self._calls = calls
        self._receiver = receiver
        self._metrics = metrics
        self._large = LargeBodyQueue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one push."""
        if scope["method"] not in METHODS:
            refusal = problem(405, "Method Not Allowed", "Pushes are POSTed", {"allow": ALLOWED})
            await refusal(scope, receive, send)
            return
        name = ""
        try:
            source = self._receiver.source(unquote(scope["path"][len(PATH) :]))
            name = source.name
            if scope["method"] == "OPTIONS":
                await _handshake(source, scope)(scope, receive, send)
                return
            receipt = await self._take(scope, receive, source)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the provider gets an answer
            response = explain(error)
            self._metrics.refused.labels(name, str(response.status_code)).inc()
        else:
            self._metrics.pushed(
                name, receipt.accepted, receipt.duplicates, receipt.ignored, receipt.unreadable
            )
            await _answer(send, source, receipt)
            return
        await self._calls.turn(scope)  # here: the error would keep the body alive meanwhile
        await response(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, source: Source) -> Receipt:
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        turn = LargeBodySlot(self._large, sender_of(scope.get("client")))
        try:
            body = await whole(headers.get("content-length", "0"), receive, source.largest, turn)
            return await self._take_body(scope, headers, body, source)
        finally:
            turn.give_back()

    async def _take_body(
        self, scope: Scope, headers: dict[str, str], body: bytes, source: Source
    ) -> Receipt:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise WrongType("Send the body uncompressed, as it was signed")
        push = Push(headers, body, scope["query_string"].decode("latin-1"))
        provider.check_content_type(source.profile, push)
        return await self._receiver.receive(source, push)


async def _answer(send: Send, source: Source, receipt: Receipt) -> None:
    """Say what became of a push, in the code that its provider takes for a yes."""
    rules = source.profile.push
    status = rules.answer if rules and receipt.echo is None else HTTPStatus.OK
    body = b"" if status == HTTPStatus.NO_CONTENT else _said(receipt)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*_HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


def _said(receipt: Receipt) -> bytes:
    if receipt.echo is not None:
        return _encode(receipt.echo)
    accepted, duplicates, ignored, unreadable, _ = receipt
    counts = {"accepted": accepted, "duplicates": duplicates, "ignored": ignored}
    return _encode(counts | ({"unreadable": unreadable} if unreadable else {}))


def _handshake(source: Source, scope: Scope) -> Response:
    """Agree to pushes before the first: CloudEvents' web hook handshake.

    It promises nothing: each push must still prove where it comes from.
    """
    headers, rules = {"allow": ALLOWED}, source.profile.push
    origin = Headers(scope=scope).get("webhook-request-origin")
    if origin and rules and rules.decode.name == "cloudevents":
        headers |= {"webhook-allowed-origin": origin, "webhook-allowed-rate": "*"}
    return Response(headers=headers)
