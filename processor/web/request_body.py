"""Request bodies, limited in size and time and validated; responses in JSON."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from processor.errors import InvalidValue, Unreadable, WrongType
from processor.json_input import read_exactly
from processor.large_body_queue import LargeBodySlot
from processor.sizes import check_body_size
from processor.web import body_errors

MAX_BODY = 1024 * 1024  # bytes, except pushes whose profile or source allows more
BODY_TIMEOUT = 10.0  # seconds from a request's head to the end of its body
LARGE_BODY_RATE = 512 * 1024  # bytes a second, at least, beyond MAX_BODY
STALL_TIMEOUT = 5.0  # seconds between two pieces of a large body, whose slot others wait for
MAX_DEPTH = 100  # levels of a JSON body; later readers of its parts may have less stack left
SMALL_BODY_ARRIVED = "small_body_arrived"
"""In the `state` of a request: its whole body is here, and it is so small that it needs no slot."""

SUBMITTED = "/submitted/body"  # where a caller passes on a provider's response
_DIGITS = 9  # of a Content-Length, at most

Value = TypeVar("Value")

_encode = msgspec.json.Encoder().encode


class Json(Response):
    """A response in JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode with msgspec, which knows our structs."""
        return _encode(content)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call that takes none: `{}`."""


async def read_body(
    length: str,
    state: Mapping[str, Any],
    receive: Receive,
    largest: int = MAX_BODY,
    slot: LargeBodySlot | None = None,
) -> bytes:
    """Read a whole body; TooLarge beyond the limit, whatever its Content-Length says. Answers 408
    if it does not arrive in time: nothing else ends a connection whose sender stopped.

    A body larger than MAX_BODY waits for its `slot`, which the caller releases. `state`: of the
    request; if the body is here already, no timer is needed.
    """
    if len(length) > _DIGITS:
        length = length.lstrip("0") or "0"
    known = len(length) <= _DIGITS and length.isdecimal()
    check_body_size(int(length) if known else largest + 1, largest)
    if state.get(SMALL_BODY_ARRIVED):
        body = _content(await receive())
        check_body_size(len(body), largest)
        return body
    pieces: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(BODY_TIMEOUT) as limit:
            while more:
                message = await _piece(receive, slot)
                pieces.append(_content(message))
                size += len(pieces[-1])
                check_body_size(size, largest)
                more = message.get("more_body", False)
                if slot and size > MAX_BODY:
                    await _large(slot, int(length) or largest, limit, len(pieces[-1]))
    except TimeoutError:
        detail = f"The body did not arrive within {BODY_TIMEOUT:g} s; send it without pauses"
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _piece(receive: Receive, slot: LargeBodySlot | None) -> Message:
    """The next piece; a large body that holds a slot has less time for it."""
    async with asyncio.timeout(STALL_TIMEOUT if slot and slot.held else None):
        return await receive()


def _content(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise Unreadable("The connection was closed in the middle of the body")
    content: bytes = message.get("body", b"")
    return content


async def _large(slot: LargeBodySlot, size: int, limit: asyncio.Timeout, count: int) -> None:
    """Wait for the slot of a large body; the wait does not count, and large bodies have more time."""
    loop = asyncio.get_running_loop()
    began = limit.when() or loop.time()
    if not slot.held:
        limit.reschedule(None)
        left = began - loop.time()
        await slot.acquire(size)
        began = loop.time() + left
    limit.reschedule(began + count / LARGE_BODY_RATE)


async def read_as(request: Request, kind: type[Value], largest: int = MAX_BODY) -> Value:
    """A JSON body as a struct; raises Unreadable, WrongType or InvalidValue."""
    mime = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if mime != "application/json":
        raise WrongType("Send the body as Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise WrongType("Send the body uncompressed, without Content-Encoding")
    length, state = request.headers.get("content-length", "0"), request.scope.get("state", {})
    body = await read_body(length, state, request.receive, largest)
    document = read_exactly(body or b"{}", apart=SUBMITTED)
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper(document, MAX_DEPTH):
        raise Unreadable(f"The body is nested too deeply: at most {MAX_DEPTH} levels")
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise InvalidValue(body_errors.explain(error, kind)) from error


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not levels or any(_deeper(item, levels - 1) for item in inside)


async def read_optional(request: Request, kind: type[Value]) -> Value:
    """The same of a call that needs no body: its defaults without one."""
    return await read_as(request, kind) if _has_body(request) else kind()


def _has_body(request: Request) -> bool:
    headers = request.headers
    return bool(headers.get("content-length", "").strip("0")) or "transfer-encoding" in headers


async def read_nothing(request: Request) -> None:
    """Check that a call without a body has none, or an empty object."""
    if _has_body(request):
        await read_as(request, Nothing)
