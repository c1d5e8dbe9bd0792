"""Request bodies, bounded in size and time and checked, and answers in JSON."""

import asyncio
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from processor.errors import InvalidValue, TooLarge, Unreadable, WrongType
from processor.json_input import read_exactly
from processor.web.large_body_queue import LargeBodySlot

AT_MOST = 1024 * 1024  # bytes of any body, but of pushes whose profile or source takes larger ones
WITHIN = 10.0  # seconds from a request's head to the end of its body
LARGE_BODY_RATE = (
    512 * 1024
)  # bytes a second that what goes beyond AT_MOST must come with, at least
STALL_TIMEOUT = 5.0  # seconds between two pieces of a large body, whose turn others wait for
DEEPEST = 100  # levels of a JSON body; who reads what is kept of it may have less stack left
SUBMITTED = "/submitted/body"  # here a caller repeats what a provider answered
_DIGITS = 9  # of a Content-Length; more is noise

Value = TypeVar("Value")

_encode = msgspec.json.Encoder().encode


class Json(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode with msgspec, which knows our structs."""
        return _encode(content)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call whose words are all in its URL: `{}`."""


async def whole(
    length: str, receive: Receive, largest: int = AT_MOST, turn: LargeBodySlot | None = None
) -> bytes:
    """A whole body, whatever its Content-Length says; TooLarge beyond the limit, 408 if it
    does not come: nothing else ends a connection whose sender stopped in the middle.

    What is larger than AT_MOST waits for its `turn`, which the caller gives back.
    """
    too_large = TooLarge(f"A body has at most {largest} bytes; send less")
    if len(length) > _DIGITS or not length.isdecimal() or int(length) > largest:
        raise too_large
    pieces: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(WITHIN) as limit:
            while more:
                message = await _piece(receive, turn)
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > largest:
                    raise too_large
                more = message.get("more_body", False)
                if turn and size > AT_MOST:
                    await _large(turn, int(length) or largest, limit, len(pieces[-1]))
    except TimeoutError:
        detail = f"The body did not come within {WITHIN:g} s; send it in one go"
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _piece(receive: Receive, turn: LargeBodySlot | None) -> Message:
    """The next piece; a large body's turn is not waited out by one that stops."""
    async with asyncio.timeout(STALL_TIMEOUT if turn and turn.taken else None):
        message = await receive()
    if message["type"] == "http.disconnect":
        raise Unreadable("The sender went away in the middle of the body")
    return message


async def _large(turn: LargeBodySlot, size: int, limit: asyncio.Timeout, count: int) -> None:
    """Wait for the turn of a large body; its clock runs slower, and not while it waits for us."""
    loop = asyncio.get_running_loop()
    began = limit.when() or loop.time()
    if not turn.taken:
        limit.reschedule(None)
        left = began - loop.time()
        await turn.take(size)
        began = loop.time() + left
    limit.reschedule(began + count / LARGE_BODY_RATE)


async def read_as(request: Request, kind: type[Value]) -> Value:
    """A JSON body as a struct; Unreadable, WrongType or Invalid if it is not one."""
    mime = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if mime != "application/json":
        raise WrongType("Send the body as Content-Type: application/json")
    body = await whole(request.headers.get("content-length", "0"), request.receive)
    document = read_exactly(body or b"{}", apart=SUBMITTED)
    if body.count(b"[") + body.count(b"{") > DEEPEST and _deeper(document, DEEPEST):
        raise Unreadable(f"the body is nested too deeply: at most {DEEPEST} levels")
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise InvalidValue(str(error)) from error


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not levels or any(_deeper(one, levels - 1) for one in inside)


async def read_nothing(request: Request) -> None:
    """See that a call which needs no body has none, or an empty object."""
    headers = request.headers
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        await read_as(request, Nothing)
