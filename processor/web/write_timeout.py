"""Write timeout against slow readers: closes connections whose client does not read the response.

TCP alone never does that.
"""

import asyncio

from processor.web.upgrade_offers import IgnoredOffersProtocol

NO_READ_TIMEOUT = 30.0  # seconds in which a client must read at least something


class SlowReaderProtocol(IgnoredOffersProtocol):
    """uvicorn's protocol, with a timer that runs while the write buffer is full.

    uvicorn alone waits without a limit for a client that is connected and does not read.
    """

    _write_timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Start the timer: the write buffer is full."""
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        """Stop the timer: the client has read enough."""
        self._stop_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(NO_READ_TIMEOUT, self._check, left)

    def _check(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._start_timer()
        else:
            self.transport.abort()  # `close` would wait until the buffer is read

    def _stop_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
