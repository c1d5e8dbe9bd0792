"""Closes connections of slow senders (slowloris): those whose request never comes in whole."""

import asyncio

import httptools

from processor.web.write_timeout import SlowReaderProtocol

WITHIN = 10.0  # seconds for a whole request head, and for an early end of what was refused
AT_MOST = 64 * 1024  # bytes of a request head

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class SlowRequestProtocol(SlowReaderProtocol):
    """uvicorn's protocol, with a clock that runs while no request is under way.

    Between requests uvicorn's own `timeout_keep_alive` does, until the next byte stops it.
    """

    _clock: asyncio.TimerHandle | None = None
    _partial = 0  # bytes read while a head is not whole yet
    _head = 0  # bytes of its words
    _begun = False
    _asked = False  # at least one head was whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as theirs
        """Wait for the first request."""
        super().connection_made(transport)
        self._clock = self.loop.call_later(WITHIN, self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._begun, self._partial, self._head = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count what came."""
        self._head += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count what came, so that a head which comes in one piece is no larger than others."""
        self._head += len(name) + len(value) + len(": \r\n")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head is whole; the parser's error, which is answered 400, if it cannot be served."""
        if self._head > AT_MOST:
            self._refuse(_TOO_LARGE)
            raise httptools.HttpParserError("the head is too large")
        if self.parser.get_method() == b"CONNECT" or not httptools.parse_url(self.url).path:
            raise httptools.HttpParserError("the target has no path")  # as of `http://`
        super().on_headers_complete()
        self._begun, self._asked = False, True

    def on_response_complete(self) -> None:
        """What came behind the request before its answer was out may be half a head."""
        super().on_response_complete()
        if self._begun and self._clock is None:
            self._clock = self.loop.call_later(WITHIN, self._end)

    def data_received(self, data: bytes) -> None:
        """Look, after some bytes, whether they made a request."""
        super().data_received(data)
        if self._begun:
            self._partial += len(data)
            if self._partial > AT_MOST:
                self._refuse(_TOO_LARGE)
        if self._asked and not self.cycle.response_complete:
            self._stop()
        elif self._clock is None:
            self._clock = self.loop.call_later(WITHIN, self._end)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _end(self) -> None:
        self._clock = None
        self._refuse(_TOO_SLOW if self._begun else b"")

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
