"""A transport that sends the head of a response together with its body, and closes when all is read.

uvicorn writes head and body one after the other: two system calls, and the client is woken twice. It
closes a connection right after its last response: if the client still sends, it gets a reset, and
may never read the response (RFC 9112, 9.6).
"""

import asyncio
from collections.abc import Callable


class CorkedTransport:
    """Holds a head back until the next write, `uncork` or the end of the connection."""

    __slots__ = (
        "_awaits_body",
        "_awaits_request",
        "_head",
        "_transport",
        "get_extra_info",
        "get_write_buffer_size",
        "is_closing",
        "pause_reading",
        "resume_reading",
        "set_protocol",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        awaits_body: Callable[[], bool],
        awaits_request: Callable[[], bool] = lambda: False,
    ) -> None:
        """`awaits_body`: whether the head that is being written announces a body with its length.

        Its application has the body ready; one that makes it bit by bit announces no length.
        `awaits_request`: whether a close is to wait until the client has sent its whole request.
        """
        self._transport = transport
        self._awaits_body = awaits_body
        self._awaits_request = awaits_request
        self._head = b""
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol

    def write(self, data: bytes) -> None:
        """Write what is held back, then this, unless this is a head whose body follows."""
        if self._head:
            head, self._head = self._head, b""
            self._write(head + data)
        elif self._awaits_body() and data.startswith(b"HTTP/"):
            self._head = data
        else:
            self._write(data)

    def uncork(self) -> None:
        """Write what is held back: the response has no body after all, as that to a HEAD."""
        if self._head:
            head, self._head = self._head, b""
            self._write(head)

    def _write(self, data: bytes) -> None:
        """Write, unless the client is gone: uvloop raises an error then, before uvicorn knows it."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Write what is held back, then close; if the client is still sending, only our side."""
        self.uncork()
        if not self._awaits_request():
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()

    def abort(self) -> None:
        """Close at once; what is held back is lost, as what is in the buffer."""
        self._head = b""
        self._transport.abort()
