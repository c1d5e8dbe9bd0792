"""Request bodies, bounded and checked, and answers in JSON."""

from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from processor import provider
from processor.errors import Invalid, TooLarge, Unreadable, WrongType

AT_MOST = 1024 * 1024  # bytes of any body

Value = TypeVar("Value")

_encode = msgspec.json.Encoder().encode


class Json(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode with msgspec, which knows our structs."""
        return _encode(content)


async def read(request: Request) -> bytes:
    """A whole body; TooLarge beyond the limit, however it is sent."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > AT_MOST:
        raise TooLarge(f"A body may have {AT_MOST} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > AT_MOST:
            raise TooLarge(f"A body may have {AT_MOST} bytes")
    return bytes(body)


async def read_as(request: Request, kind: type[Value]) -> Value:
    """A JSON body as a struct; Unreadable, WrongType or Invalid if it is not one."""
    mime = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if mime != "application/json":
        raise WrongType("Send the body as Content-Type: application/json")
    body = await read(request)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The body is not JSON: {error}") from error


def segment(request: Request, name: str) -> str:
    """A path parameter, percent-decoded; the router sees paths as they were sent."""
    try:
        return unquote(request.path_params[name], errors="strict")
    except UnicodeDecodeError as error:
        raise Invalid(f"{name}: percent-encode it as UTF-8") from error


def job_id(request: Request) -> str:
    """The job id in a path."""
    job = segment(request, "id")
    try:
        return provider.check_id(job)
    except ValueError as error:
        raise Invalid(f"id: {error}") from error


def limit(request: Request) -> int:
    """The `limit` of a list: 1 to 200, 50 if none is given."""
    return int(number(request, "limit", 50, 1, 200))


def number(request: Request, name: str, default: float, least: float, most: float) -> float:
    """A number in the query; Invalid unless it is within its bounds."""
    text = request.query_params.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        raise Invalid(f"{name}: {text!r} is no number") from None
    if not least <= value <= most:
        raise Invalid(f"{name}: must be {least:g} to {most:g}")
    return value


def check_query(request: Request, *known: str) -> None:
    """Refuse a query that says something we do not know."""
    for name in request.query_params:
        if name not in known:
            raise Invalid(f"{name}: not known here; there is {', '.join(known) or 'nothing'}")
