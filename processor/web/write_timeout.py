"""Connections whose answer is not taken: ended after a while, which TCP alone never does."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WITHIN = 30.0  # seconds in which somebody takes something of what is written for him


class SlowReaderProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a clock that runs while more is written than the peer takes.

    uvicorn waits for ever for a peer that is there and does not read.
    """

    _patience: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Too much is written."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Enough was taken."""
        self._wait_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is nobody to wait for."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._patience = self.loop.call_later(WITHIN, self._look, left)

    def _look(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._wait()
        else:
            self.transport.abort()  # `close` would wait until it is taken

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
