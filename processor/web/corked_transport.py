"""A transport that sends the head of a response together with its body.

uvicorn writes them one after the other: two system calls, and the client is woken twice.
"""

import asyncio
from collections.abc import Callable


class CorkedTransport:
    """Holds a head back until the next write, `uncork` or the end of the connection."""

    __slots__ = (
        "_awaits_body",
        "_head",
        "_transport",
        "get_extra_info",
        "get_write_buffer_size",
        "is_closing",
        "pause_reading",
        "resume_reading",
        "set_protocol",
    )

    def __init__(self, transport: asyncio.Transport, awaits_body: Callable[[], bool]) -> None:
        """`awaits_body`: whether the head that is being written announces a body with its length.

        Its application has the body ready; one that makes it bit by bit announces no length.
        """
        self._transport = transport
        self._awaits_body = awaits_body
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
        """Write what is held back, then close."""
        self.uncork()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held back is lost, as what is in the buffer."""
        self._head = b""
        self._transport.abort()
