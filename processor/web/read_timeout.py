"""Read timeout against slowloris: closes connections whose request head does not come in time.

uvicorn leaves that to a proxy. `request_body` has the timeout for bodies.
"""

import asyncio

import httptools

from processor.web.upgrade_offers import UpgradeOffered
from processor.web.write_timeout import SlowReaderProtocol

HEAD_TIMEOUT = 10.0  # seconds for a whole request head, and for what follows an early answer
MAX_HEAD = 64 * 1024  # bytes of a request head

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class SlowRequestProtocol(SlowReaderProtocol):
    """uvicorn's protocol, with a timer that runs while no request is in progress.

    Between requests uvicorn's own `timeout_keep_alive` runs, until the next byte stops it.
    """

    _timer: asyncio.TimerHandle | None = None
    _received = 0  # bytes read while a head is incomplete
    _chunk = 0  # bytes that are being parsed
    _behind = False  # they also have the end of another request, so that not all are this head's
    _in_head = False
    _had_request = False  # at least one head was complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as theirs
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start to count the bytes of a head."""
        self._in_head, self._received, self._behind = True, 0, self._had_request
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check a complete head; raises the parser's error, answered with 400, if it cannot be served,
        or UpgradeOffered.
        """
        if self._received + self._chunk > MAX_HEAD and self._head_size() > MAX_HEAD:
            self._refuse(_TOO_LARGE)
            raise httptools.HttpParserError("the head is too large")
        rooted = self.url.startswith(b"/") or httptools.parse_url(self.url).path
        offered = self.parser.should_upgrade()  # a CONNECT counts as an offer
        if not rooted or (offered and self.parser.get_method() == b"CONNECT"):
            raise httptools.HttpParserError("the target has no path")  # as of `http://`
        if offered:
            raise UpgradeOffered
        super().on_headers_complete()
        self._in_head, self._had_request = False, True

    def on_response_complete(self) -> None:
        """Start the timer again if a part of the next head is here, or some of the body is not."""
        super().on_response_complete()
        if (self._in_head or self.cycle.more_body) and self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT, self._end)

    def data_received(self, data: bytes) -> None:
        """Stop the timer if these bytes completed a request, else start it."""
        self._chunk = len(data)
        super().data_received(data)
        if self._in_head:
            self._received += self._head_size() if self._behind else len(data)
            self._behind = False
            if self._received > MAX_HEAD:
                self._refuse(_TOO_LARGE)
        if self._had_request and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT, self._end)

    def _head_size(self) -> int:
        """Bytes of a head, also of one that arrived in one piece, with others or a body."""
        lines = (len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        return len(self.url) + sum(lines)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        self._refuse(_TOO_SLOW if self._in_head else b"")

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
