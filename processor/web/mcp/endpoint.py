"""POST /mcp: one JSON-RPC message in, its answer out, as JSON or as a stream."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.errors import RequestError, Unreadable
from processor.formats import traceparent
from processor.web.auth import bearer
from processor.web.mcp import methods
from processor.web.mcp.exchange import Exchange, Services
from processor.web.mcp.message_stream import MessageStream, Write
from processor.web.mcp.messages import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    PARSE_ERROR,
    STATUS,
    McpError,
    Message,
    is_stateless,
    notification,
    read_message,
    refusal,
    result,
)
from processor.web.problems import explain
from processor.web.request_body import Json, read_as
from processor.web.sse import MEDIA_TYPE

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Mcp:
    """The handler of /mcp."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def post(self, request: Request) -> Response:
        """Answer one message."""
        check_origin(request, self._services.context.settings.public_url)
        try:
            message = read_message(await read_as(request, Any))
        except Unreadable as error:
            return _refused(None, McpError(PARSE_ERROR, str(error)))
        except McpError as error:
            return _refused(None, error)
        try:
            exchange = self._exchange(request, message)
        except McpError as error:
            return _refused(message.id, error)
        if message.id is None:
            return Response(status_code=202)
        try:
            return await _answer(request, exchange)
        except McpError as error:
            return _refused(message.id, error, stateless=exchange.stateless)

    def _exchange(self, request: Request, message: Message) -> Exchange:
        return Exchange(
            self._services,
            message,
            is_stateless(message, request.headers),
            bearer(request.scope["headers"]),
            traceparent(request.headers.get("traceparent")),
        )


async def _answer(request: Request, exchange: Exchange) -> Response:
    if methods.streams(exchange):
        if MEDIA_TYPE in request.headers.get("accept", "").lower():
            return MessageStream(lambda write: _stream(exchange, write))
        if exchange.message.method == methods.LISTEN:
            raise HTTPException(406, f"Its response is a stream: accept {MEDIA_TYPE}")
    return Json(await _result(exchange))


async def _result(exchange: Exchange) -> dict[str, Any]:
    try:
        found = await methods.answer(exchange)
    except RequestError as error:
        raise McpError(INVALID_PARAMS, str(error)) from None
    return result(exchange.message, found, methods.SERVER if exchange.stateless else None)


async def _stream(exchange: Exchange, write: Write) -> None:
    """Write notifications, then the answer."""

    async def notify(method: str, params: dict[str, object]) -> None:
        await write(notification(method, params))

    try:
        found = await _result(exchange._replace(notify=notify))
    except Exception as error:  # noqa: BLE001 -- the response has begun: any error ends it so
        found = refusal(exchange.message.id, _internal(error))
    await write(found)


def _internal(error: Exception) -> McpError:
    """An error of ours, which is logged, as one of JSON-RPC."""
    if isinstance(error, McpError):
        return error
    problem = msgspec.json.decode(bytes(explain(error).body))
    return McpError(INTERNAL_ERROR, problem["detail"], problem)


def _refused(request_id: int | str | None, error: McpError, *, stateless: bool = True) -> Response:
    """An error; clients of the handshake era read it only with status 200."""
    status = STATUS.get(error.code, 400) if stateless else 200
    return Json(refusal(request_id, error), status)


def check_origin(request: Request, public_url: str | None) -> None:
    """403 for a call from a web page that is not ours (DNS rebinding)."""
    origin = request.headers.get("origin")
    if origin is not None and not _is_ours(origin, request.headers.get("host", ""), public_url):
        raise HTTPException(403, "Origin: this page may not call; leave the header out")


def _is_ours(origin: str, host: str, public_url: str | None) -> bool:
    try:
        parts, public = urlsplit(origin), urlsplit(public_url or "")
        local = parts.hostname in LOOPBACK and parts.netloc == host
    except ValueError:
        return False
    return local or (bool(public_url) and parts[:2] == public[:2])
