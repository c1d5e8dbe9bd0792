"""Connections that keep the bytes of an answer until it is done, for what the parser refuses."""

from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError

from processor.egress.failures import REQUEST_ERRORS

HEAD_AT_MOST = 65_536  # bytes of status and headers; aiohttp bounds each header only
KEPT_AT_MOST = 1_310_720  # bytes of one answer: the longest body that is read, and its head


class RecordingHandler(ResponseHandler):
    """A connection, and what came on it since the last question."""

    def __init__(self, *args: Any, **more: Any) -> None:
        """Nothing came yet."""
        super().__init__(*args, **more)
        self.received = bytearray()
        self._begun = False  # the head is there and good

    def set_response_params(self, **params: Any) -> None:
        """Begin to wait for an answer."""
        self.forget()
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a head that the parser has read."""
        self._begun = True
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Keep the bytes, and have them read."""
        if len(self.received) < KEPT_AT_MOST:
            self.received += data
        super().data_received(data)
        if not self._begun and len(self.received) > HEAD_AT_MOST and self.transport:
            self.transport.close()
            self.set_exception(HttpProcessingError(message="the head is too long"))

    def forget(self) -> None:
        """Drop what was kept."""
        self.received.clear()
        self._begun = False


class BrokenResponseError(Exception):
    """An answer went wrong on the way: what was raised, and the bytes that had come."""

    def __init__(self, error: Exception, received: bytes) -> None:
        """Keep both."""
        super().__init__(str(error))
        self.error, self.received = error, received


class RecordedResponse(aiohttp.ClientResponse):
    """An answer that knows the connection that it came on."""

    handler: Any = None

    async def start(self, connection: Connection) -> Self:
        """Read the head; an error carries what came."""
        self.handler = connection.protocol
        try:
            await super().start(connection)
        except REQUEST_ERRORS as error:
            if not self.handler.received:  # aiohttp may ask once more, on another connection
                raise
            raise BrokenResponseError(error, self.received) from error
        return self

    @property
    def received(self) -> bytes:
        """What came since the question."""
        return bytes(self.handler.received)
