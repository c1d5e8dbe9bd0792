"""Connections that record the bytes of a response, for `salvage` if the parser refuses it."""

from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError

from processor.egress.failures import REQUEST_ERRORS

HEAD_AT_MOST = 65_536  # bytes of status line and headers; aiohttp limits only each header
KEPT_AT_MOST = 1_310_720  # bytes of one response: the longest body that we read, and its head


class RecordingHandler(ResponseHandler):
    """A connection that records the bytes received since the last request."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.received = bytearray()
        self._begun = False  # whether the head has arrived and is valid

    def set_response_params(self, **params: Any) -> None:
        """Start recording for the next response."""
        self.forget()
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Note that the parser has read the head."""
        self._begun = True
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Record the bytes, then pass them to the parser."""
        if len(self.received) < KEPT_AT_MOST:
            self.received += data
        super().data_received(data)
        if not self._begun and len(self.received) > HEAD_AT_MOST and self.transport:
            self.transport.close()
            self.set_exception(HttpProcessingError(message="the head is too long"))

    def forget(self) -> None:
        """Drop the recorded bytes."""
        self.received.clear()
        self._begun = False


class BrokenResponseError(Exception):
    """A response broke off or is malformed: the original error, and the bytes received so far."""

    def __init__(self, error: Exception, received: bytes) -> None:
        super().__init__(str(error))
        self.error, self.received = error, received


class RecordedResponse(aiohttp.ClientResponse):
    """A response with access to the recording of its connection."""

    handler: Any = None

    async def start(self, connection: Connection) -> Self:
        """Read the head; an error contains the bytes received."""
        self.handler = connection.protocol
        try:
            await super().start(connection)
        except REQUEST_ERRORS as error:
            if not self.handler.received:  # aiohttp may retry on another connection
                raise
            raise BrokenResponseError(error, self.received) from error
        return self

    @property
    def received(self) -> bytes:
        """The bytes received since the request."""
        return bytes(self.handler.received)
