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

CLOSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
"""Statuses that are sent before the whole body was read; the rest is thrown away, for a while."""

REMEDIES = {
    HTTPStatus.NOT_FOUND: "There is no such call: /openapi.json lists all calls. "
    "An id with a slash is one segment of a path: `a%2Fb` is the id `a/b`",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path has other methods: the Allow header lists them",
}
"""Remedies for the router's own errors, which have only a status."""

log = structlog.get_logger()


class Problem(msgspec.Struct, frozen=True):
    """What went wrong and what to change; the log line of a 500 has the same `request_id`."""

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
    """A problem+json response; an internal error is logged with its traceback.

    Refusals are counted, not logged, so that invalid requests cannot fill the disk.
    """
    body = Problem("about:blank", title, status, detail, secrets.token_hex(8))
    if cause:
        log.error("unhandled_error", request_id=body.request_id, detail=detail, exc_info=cause)
    closing = {"connection": "close"} if status in CLOSING else {}
    return Response(
        msgspec.json.encode(body), status, {**(headers or {}), **closing}, media_type=MEDIA_TYPE
    )


def explain(error: Exception) -> Response:
    """The response to an error."""
    if isinstance(error, RequestError):
        headers = {"www-authenticate": "Bearer"} if isinstance(error, Unauthorized) else None
        return problem(error.status, error.title, str(error), headers)
    if isinstance(error, Unavailable):
        detail = public_detail(error)
        return problem(503, "Service unavailable", detail, {"retry-after": str(error.retry_after)})
    if isinstance(error, ProviderError):
        return problem(error.status, "Provider error", str(error))
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        detail = REMEDIES.get(status, "") if error.detail == status.phrase else error.detail
        return problem(status, status.phrase, detail or status.phrase, dict(error.headers or {}))
    detail = "Internal error: the log has the reason, with this request_id"
    return problem(500, "Internal error", detail, cause=error)


def public_detail(error: Unavailable) -> str:
    """The detail that callers may see: /hooks and /readyz need no key."""
    return error.public if isinstance(error, StoreUnavailable) else str(error)


async def handle(_: Request, error: Exception) -> Response:
    """The response to an error of the router."""
    return explain(error)
