"""Errors as RFC 9457 problem details: the caller's fault is 4xx with a remedy, ours is 5xx."""

import secrets
from http import HTTPStatus

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.errors import Forbidden, Refused, StoreAway

COME_AGAIN = "5"  # seconds, when Redis is away

log = structlog.get_logger()


def problem(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """A problem+json answer."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": secrets.token_hex(8),
    }
    return Response(
        msgspec.json.encode(body), status, headers, media_type="application/problem+json"
    )


def explain(error: Exception) -> Response:
    """The answer that an error makes."""
    if isinstance(error, Refused):
        bearer = isinstance(error, Forbidden) and error.status == HTTPStatus.UNAUTHORIZED
        headers = {"www-authenticate": "Bearer"} if bearer else None
        return problem(error.status, error.title, str(error), headers)
    if isinstance(error, StoreAway):
        return problem(503, "Not now", str(error), {"retry-after": COME_AGAIN})
    if isinstance(error, HTTPException):
        title = HTTPStatus(error.status_code).phrase
        return problem(error.status_code, title, error.detail, dict(error.headers or {}))
    log.error("request_failed", exc_info=error)
    return problem(500, "Internal error", "This is our fault; the log names the request_id")


async def handle(_: Request, error: Exception) -> Response:
    """Answer an error that a handler raised."""
    return explain(error)
