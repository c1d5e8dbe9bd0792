"""/hooks/{source}: the receiver of pushes.

The busiest call, so it uses ASGI directly, without router and middleware.
"""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import unquote

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from processor import provider
from processor.config import Source
from processor.large_body_queue import LargeBodyQueue, LargeBodySlot
from processor.model import Push
from processor.service.pushes.receive import Receipt, Receiver
from processor.service.runtime.metrics import Metrics
from processor.web.client_address import sender_of
from processor.web.problems import explain, problem
from processor.web.rate_limit import KeylessRateLimit
from processor.web.request_body import SMALL_BODY_ARRIVED, read_body

PATH = "/hooks/"
METHODS = ("POST", "OPTIONS")
ALLOWED = ", ".join(METHODS)

Counts = tuple[int, int, int, int, int | None]
"""How many updates were accepted, duplicates, ignored, unreadable and held."""

_encode = msgspec.json.Encoder().encode
_HEADERS = [(b"content-type", b"application/json")]


class Hooks:
    """The receiver as an ASGI application."""

    def __init__(self, receiver: Receiver, metrics: Metrics, calls: KeylessRateLimit) -> None:
        self._calls = calls
        self._receiver = receiver
        self._metrics = metrics
        self._large_bodies = LargeBodyQueue()

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
            receipt = await self._receive(scope, receive, source)
        except Exception as error:  # noqa: BLE001 -- any error gets a response
            response = explain(error)
            self._metrics.refused(name, str(response.status_code)).inc()
        else:
            counts = receipt.counts
            self._metrics.pushed(name, counts)
            if receipt.ignored_parts:
                self._metrics.ignored(name, receipt.ignored_parts)
            start, body = _response_to(source, receipt, counts)
            await send(start)
            await send(body)
            return
        await self._calls.wait(scope)  # outside of `except`: the error keeps the body in memory
        await response(scope, receive, send)

    async def _receive(self, scope: Scope, receive: Receive, source: Source) -> Receipt:
        # httptools leaves the blanks after a value, which do not belong to it (RFC 9110, 5.5).
        headers = {n.decode("latin-1"): v.strip().decode("latin-1") for n, v in scope["headers"]}
        length, state = headers.get("content-length", "0"), scope.get("state", {})
        slot = None
        if not state.get(SMALL_BODY_ARRIVED):
            slot = LargeBodySlot(self._large_bodies, sender_of(scope.get("client")))
        try:
            body = await read_body(length, state, receive, source.largest, slot)
            push = Push(headers, body, scope["query_string"].decode("latin-1"))
            provider.check_encoding(push)
            provider.check_content_type(source.profile, push)
            return await self._receiver.receive(source, push)
        finally:
            if slot:
                slot.release()


def _response_to(source: Source, receipt: Receipt, counts: Counts) -> tuple[Message, Message]:
    """The response, with the status code that this provider requires."""
    if receipt.echo is not None:
        return _response(HTTPStatus.OK, _encode(receipt.echo))
    rules = source.profile.push
    status = rules.answer if rules else HTTPStatus.OK
    if receipt.ignored_parts:
        return _answer(status, counts, receipt.ignored_because)
    return _usual(status, counts)


@lru_cache(128)
def _usual(status: int, counts: Counts) -> tuple[Message, Message]:
    """Most answers are one of a few."""
    return _answer(status, counts, ())


def _answer(status: int, numbers: Counts, because: Sequence[str]) -> tuple[Message, Message]:
    if status == HTTPStatus.NO_CONTENT:
        return _response(status, b"")
    accepted, duplicates, ignored, unreadable, held = numbers
    counts = {"accepted": accepted, "duplicates": duplicates, "ignored": ignored}
    more = {"ignored_because": because, "unreadable": unreadable, "held": held}
    return _response(
        status, _encode(counts | {n: v for n, v in more.items() if v or (n == "held" and v == 0)})
    )


def _response(status: int, body: bytes) -> tuple[Message, Message]:
    """Head and body, as ASGI messages."""
    headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


def _handshake(source: Source, scope: Scope) -> Response:
    """CloudEvents' web hook handshake: agree to pushes. Each push must still be signed."""
    headers, rules = {"allow": ALLOWED}, source.profile.push
    origin = Headers(scope=scope).get("webhook-request-origin", "").strip()
    if origin and rules and rules.decode.name == "cloudevents":
        headers |= {"webhook-allowed-origin": origin, "webhook-allowed-rate": "*"}
    return Response(headers=headers)
