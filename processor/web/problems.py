"""Errors as RFC 9457 problem details: the caller's fault is 4xx with a remedy, ours is 5xx."""

import secrets
from http import HTTPStatus

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.errors import (
    ProviderError,
    RequestError,
    StoreUnavailable,
    Unauthorized,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
COME_AGAIN = "5"  # seconds, when Redis is away

CLOSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
"""Answers before the whole body was read; what is still on its way is not waited for."""

REMEDIES = {
    HTTPStatus.NOT_FOUND: "There is no such call: /openapi.json lists all that there are",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path has other methods: the Allow header names them",
}
"""What the router, which knows only the status, would say if it could."""

log = structlog.get_logger()


class Problem(msgspec.Struct, frozen=True):
    """What went wrong and what to change; of a 500 the log has the `request_id` too."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str


def problem(
    status: int,
    title: str,
    detail: str,
    headers: dict[str, str] | None = None,
    cause: Exception | None = None,
) -> Response:
    """A problem+json answer; what is our own bug is told to the log, with its traceback.

    Refusals are counted, not logged: whoever sends garbage shall not fill our disk.
    """
    told = Problem("about:blank", title, status, detail, secrets.token_hex(8))
    if cause:
        log.error("unhandled_error", request_id=told.request_id, detail=detail, exc_info=cause)
    closing = {"connection": "close"} if status in CLOSING else {}
    return Response(
        msgspec.json.encode(told), status, {**(headers or {}), **closing}, media_type=MEDIA_TYPE
    )


def explain(error: Exception) -> Response:
    """The answer that an error makes."""
    if isinstance(error, RequestError):
        headers = {"www-authenticate": "Bearer"} if isinstance(error, Unauthorized) else None
        return problem(error.status, error.title, str(error), headers)
    if isinstance(error, Unavailable):
        detail = said(error)
        return problem(503, "Service unavailable", detail, {"retry-after": COME_AGAIN})
    if isinstance(error, ProviderError):
        return problem(error.status, "Provider error", str(error))
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        detail = REMEDIES.get(status, "") if error.detail == status.phrase else error.detail
        return problem(status, status.phrase, detail or status.phrase, dict(error.headers or {}))
    detail = "This is our fault; the log has the reason beside this request_id"
    return problem(500, "Internal error", detail, cause=error)


def said(error: Unavailable) -> str:
    """What callers are told of an error: anybody may ask /hooks and /readyz."""
    return error.public if isinstance(error, StoreUnavailable) else str(error)


async def handle(_: Request, error: Exception) -> Response:
    """Answer what the router refuses."""
    return explain(error)
