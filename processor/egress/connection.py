"""One HTTP/1.1 connection: sends a request, and reads its response within limits.

    idle ──send──▶ head expected ──final head──▶ body expected ──last byte──▶ idle
      │                │                             │
      └─ any byte ─────┴─ malformed, over a limit, ──┴─▶ closed
                          lost, timed out, aborted

A response is read in the same way however its bytes come. What follows a malformed head is only read
to the end of that head; what follows a complete response is not read.

Bytes that nobody asked for close an idle connection: they would be taken for the response to the
next request (response smuggling).
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from processor.egress.failures import (
    BrokenOffError,
    BrokenResponseError,
    DisconnectedError,
    NoRoomError,
    TooLargeError,
)
from processor.egress.salvage import RawResponse, may_go_on
from processor.errors import Overloaded
from processor.large_body_queue import LARGE_BODY, LargeBodySlot

HEAD_AT_MOST = 65_536  # bytes of status line and headers, those of 1xx responses included
SENT_AT_ONCE = 16_384  # bytes that the send buffer of any socket takes in one write
DRAINED = 4096  # bytes; with a longer unwanted body the connection is closed
DRAIN_TIMEOUT = 1.0  # seconds; with a slower one too, so that it does not occupy a place
_RAW_AT_MOST = 8  # bytes for each of the body, with the chunks' heads and their extensions
_SIZE_UNKNOWN = {"content-encoding", "transfer-encoding"}  # beside them a length says little
_SWITCHING, _NO_CONTENT = 101, 204


class Connection(asyncio.Protocol):
    """A connection; `send` may be called while it is `reusable`, which a new one is.

    `lost` is called with it once it is closed, whoever closed it.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, lost: Callable[["Connection"], None]
    ) -> None:
        self._loop, self._lost = loop, lost
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._pending: asyncio.Future[RawResponse] | None = None
        self._keep = True

    def send(
        self,
        request: bytes,
        timeout: float,
        read_limit: int | None,
        slot: LargeBodySlot | None = None,
    ) -> asyncio.Future[RawResponse]:
        """Send a request, all of it in one write; the future ends within `timeout` seconds.

        The body is read up to `read_limit` bytes; None: it is unwanted, and only skipped. If it is
        not whole, the response says why. A large body waits for the `slot`, if there is one, and is
        not read meanwhile; the caller releases it. The future raises BrokenResponseError for a head that is
        incomplete or malformed.
        """
        pending = self._loop.create_future()
        if not self._keep:  # closed since it was made
            pending.set_exception(BrokenResponseError(DisconnectedError(), b""))
            return pending
        self._pending, self._keep = pending, False
        self._large = len(request) > SENT_AT_ONCE
        self._limit = DRAINED if read_limit is None else read_limit
        self._wanted = read_limit is not None
        self._received = bytearray()  # up to the end of the head, for `salvage`
        self._fault: HttpParserError | None = None  # of the head
        self._status = self._raw = self._size = 0
        self._length: int | None = None  # of a body without chunks, though it has a transfer coding
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._complete = self._draining = False
        self._slot = slot if read_limit is not None else None
        self._acquiring: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(timeout, self._expire)
        self._transport.write(request)
        return pending

    @property
    def reusable(self) -> bool:
        """Whether it is open, and its last response was complete."""
        return self._keep and self._pending is None

    def abort(self) -> None:
        """Close it at once; a request in flight fails."""
        self._keep = False
        self._transport.abort()

    # -- asyncio calls these --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")

    def data_received(self, data: bytes) -> None:
        """Parse; the head at most up to its limit."""
        while data and self._pending:
            part = data if self._status else data[: HEAD_AT_MOST - len(self._received)]
            if not part:
                self._break(HttpParserError("the head is too long"))
            else:
                self._parse(part)
            data = data[len(part) :]
        if data:
            self.abort()  # it was not asked for

    def connection_lost(self, error: Exception | None) -> None:
        """End the request in flight: with success, if only this could end its body."""
        self._keep = False
        del self._parser  # it refers to us
        self._lost(self)
        if self._pending and self._status and not error and self._ends_with_connection():
            proper = self._tls is None or _said_goodbye(self._tls)
            self._end(cut=None if proper else BrokenOffError())
        elif self._pending:
            self._break(error or (BrokenOffError() if self._status else DisconnectedError()))

    # -- the parser calls these -----------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Refuse a second response."""
        if self._complete:
            raise HttpParserError("not asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are skipped."""
        if b"\0" in value:
            raise HttpParserError("NUL in a header")
        if not self._status:
            text = value.decode(errors="replace").strip()
            self._headers[name.decode("latin-1").lower()] = text

    def on_headers_complete(self) -> None:
        """Keep the status, unless a final one will follow."""
        status = self._parser.get_status_code()
        if status < 100:  # noqa: PLR2004 - HTTP's own line
            raise HttpParserError("no status")
        if status < 200 and status != _SWITCHING:  # noqa: PLR2004 - see above
            self._headers.clear()
            return
        self._status = status
        self._keep = self._parser.should_keep_alive() and status != _SWITCHING
        if "content-length" in self._headers and "transfer-encoding" in self._headers:
            self._keep = False  # RFC 9112, 6.1: chunks count; it may be an attempt of smuggling
            if not self._is_chunked():  # else the parser reads until the connection is closed
                self._length = int(self._headers["content-length"])
                self._complete = self._length == 0
        if status == _NO_CONTENT and self._headers.get("content-length", "0") != "0":
            self._keep = False  # some servers send the body that they announce

    def on_body(self, data: bytes) -> None:
        """Keep a wanted body, and count any."""
        if self._length is not None:
            data = data[: self._length - self._size]
        self._size += len(data)
        self._complete = self._size == self._length
        if self._wanted:
            self._body += data

    def on_message_complete(self) -> None:
        """The final response is complete."""
        self._complete = self._status > 0

    # -- our own --------------------------------------------------------------------------------

    def _parse(self, data: bytes) -> None:
        if not self._status:
            self._received += data
        self._raw += len(data)
        error = self._fault or self._feed(data)
        if self._size > self._limit and (self._wanted or not self._complete):
            self._keep = False
            self._end(cut=TooLargeError(self._limit))
        elif self._complete:
            self._end()
        elif error and not self._status and may_go_on(bytes(self._received)):
            self._fault = error
        elif error:
            self._break(error)
        elif self._raw > HEAD_AT_MOST + _RAW_AT_MOST * self._limit:
            self._break(HttpParserError("there is too much beside the body"))
        elif self._status and not self._wanted and not self._draining:
            self._drain()
        elif self._slot and self._acquiring is None and self._size > LARGE_BODY:
            self._transport.pause_reading()
            self._acquiring = self._loop.create_task(self._read_on(self._slot))

    def _feed(self, data: bytes) -> HttpParserError | None:
        """Have bytes parsed; what is wrong with them. After a complete response they are only more."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # a 101, which is complete; what follows is not HTTP
        except HttpParserError as error:
            self._keep = False
            return error
        return None

    async def _read_on(self, slot: LargeBodySlot) -> None:
        """Read the rest of a large body, once there is room for it."""
        length = self._headers.get("content-length", "")
        known = length.isdecimal() and not self._headers.keys() & _SIZE_UNKNOWN
        try:
            await slot.acquire(min(int(length), self._limit) if known else self._limit)
        except Overloaded:
            self._break(NoRoomError())
        else:
            self._transport.resume_reading()

    def _drain(self) -> None:
        """Wait for the rest of an unwanted body, but not for long."""
        self._draining = True
        end = min(self._loop.time() + DRAIN_TIMEOUT, self._timer.when())
        self._timer.cancel()
        self._timer = self._loop.call_at(end, self._expire)

    def _expire(self) -> None:
        waits = self._acquiring and not self._acquiring.done()
        self._break(NoRoomError() if waits else TimeoutError())

    def _break(self, error: Exception) -> None:
        """End the request before its response is complete."""
        self._keep = False
        if self._status:
            self._end(cut=error)
        else:
            self._end(BrokenResponseError(self._fault or error, bytes(self._received)))

    def _end(
        self, error: BrokenResponseError | None = None, *, cut: Exception | None = None
    ) -> None:
        pending, self._pending = self._pending, None
        self._timer.cancel()
        if self._acquiring and not self._acquiring.done():
            self._acquiring.cancel()
            self._keep = False  # it does not read
        if not self._keep or self._may_have_unsent():
            self.abort()
        if pending is None or pending.done():  # cancelled
            return
        if error:
            pending.set_exception(error)
        else:
            pending.set_result(RawResponse(self._status, self._headers, bytes(self._body), cut))
        self._received = self._body = bytearray()  # an idle connection keeps no response

    def _may_have_unsent(self) -> bool:
        """Whether a rest of the request may wait: a server may answer before it reads all of it.

        A TLS transport does not count what waits in the TCP transport below it, which uvloop hides.
        """
        return self._transport.get_write_buffer_size() > 0 or (
            self._large and self._tls is not None
        )

    def _ends_with_connection(self) -> bool:
        return not self._is_chunked() and "content-length" not in self._headers

    def _is_chunked(self) -> bool:
        coding = self._headers.get("transfer-encoding", "").lower()
        return coding.rpartition(",")[2].strip() == "chunked"


def _said_goodbye(tls: ssl.SSLObject) -> bool:
    """Whether the server ended TLS (close_notify): without, anybody may have cut the connection.

    asyncio and uvloop report both ends in the same way, but a read tells.
    """
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:  # we have ended it as well
        return True
    except ssl.SSLError:
        return False
