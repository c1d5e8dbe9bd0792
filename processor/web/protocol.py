"""One connection within the limits of its process: bytes of bodies, reading, connections."""

from array import array
from asyncio import AbstractEventLoop, Transport
from collections import deque
from contextlib import suppress
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl

from processor.web.body_budget import Body
from processor.web.client_address import sender_of
from processor.web.close_delimited import WITHOUT_CHUNKS, send_without_chunks
from processor.web.corked_transport import CorkedTransport
from processor.web.hooks import PATH as HOOKS
from processor.web.process_limits import ProcessLimits
from processor.web.read_scheduler import FREE_BYTES
from processor.web.read_timeout import SlowRequestProtocol
from processor.web.request_body import SMALL_BODY_ARRIVED
from processor.web.upgrade_offers import UpgradeOffered

OVERLOADED = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)

LAST_REQUEST = 0.5  # seconds that a connection may still send one once the process ends
LAST_BODY = 7.0  # seconds that a body may still arrive then; uvicorn ends its call later with a 500


class PausableFlow(FlowControl):
    """Pauses reading; the application cannot resume it while `held`, until the scheduler allows it."""

    held = False
    body: Body | None = None

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        super().__init__(transport)
        self._loop = loop

    def pause_reading(self) -> None:
        """Leave bytes in the kernel; that does not count as the sender's silence."""
        super().pause_reading()
        if self.body:
            self.body.paused = True

    def resume_reading(self) -> None:
        """Read on, unless it is the turn of others."""
        if self.read_paused and not self.held:
            super().resume_reading()
            if self.body:
                self.body.resumed(self._loop.time())


class BoundedProtocol(SlowRequestProtocol):
    """uvicorn's protocol, whose bodies and idle times count against limits of the process."""

    flow: PausableFlow
    transport: CorkedTransport  # type: ignore[assignment] # has what theirs is used for

    def __init__(self, *args: Any, limits: ProcessLimits, **more: Any) -> None:
        super().__init__(*args, **more)
        self._limits = limits
        self._sender = ""
        self._bodies: deque[Body] = deque()  # of requests in progress, the oldest first
        self._uncounted = 0  # bytes of the newest body that are not counted yet
        self._surplus = 0  # bytes of a body after the response to its request
        self._counted = True  # among the open connections
        self._lingers = False  # it is to be closed once the client has sent its request
        self._last = False  # it is to be closed after the next response

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as theirs
        """Count as idle until a request comes."""
        corked = CorkedTransport(transport, self._awaits_body, self._awaits_request)
        super().connection_made(corked)  # type: ignore[arg-type] # see above
        self.flow = PausableFlow(transport, self.loop)
        self._sender = sender_of(self.client)
        self._limits.connections.idle(self, self._sender)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what this connection holds."""
        while self._bodies:
            self._limits.bodies.release(self._bodies.popleft())
        self._uncount()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count once what may have arrived in many small chunks."""
        super().data_received(data)
        if self._uncounted:
            self._count()

    def eof_received(self) -> bool:  # type: ignore[override] # theirs always closes
        """Whether to stay open: a push is answered also if its sender has closed its side.

        A client that is gone looks the same until we write, and others may wait for long.
        """
        if not self._had_request:
            return False
        cycle = self.cycle
        cycle.keep_alive = False
        answer_is_due = not cycle.response_complete and not cycle.more_body
        return answer_is_due and cycle.scope["path"].startswith(HOOKS)

    def on_headers_complete(self) -> None:
        """Count as busy: a request is in progress, unless its head is parsed again."""
        try:
            super().on_headers_complete()
        except UpgradeOffered:
            return
        if self._last:
            self.cycle.keep_alive = False
        if self.scope["http_version"] in WITHOUT_CHUNKS:
            send_without_chunks(self.cycle)
        self._surplus = 0
        self._bodies.append(Body(self, self._sender))
        self._limits.connections.busy(self, self._sender)

    def on_body(self, body: bytes) -> None:
        """Keep bytes for the application."""
        self._uncounted += len(body)
        if not self.cycle.response_complete and not self.transport.is_closing():
            self.cycle.body += body

    def on_message_complete(self) -> None:
        """Note that a body is complete: it is not closed for others any more."""
        self._count(whole=True)
        super().on_message_complete()
        if self._lingers:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Release the body of an answered request."""
        self.transport.uncork()
        if self._bodies:
            self._limits.bodies.release(self._bodies.popleft())
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._limits.connections.idle(self, self._sender)

    def read_on(self) -> None:
        """Read the next piece; while the application has unread bytes, it resumes reading itself."""
        self.flow.held = False
        if not self.transport.is_closing() and (
            self.cycle.response_complete or not self.cycle.body
        ):
            self.flow.resume_reading()

    def evict(self) -> None:
        """Close the connection to free what others need."""
        if self.transport.is_closing():
            return
        in_progress = self._had_request and not self.cycle.response_complete
        self._limits.closed("body" if in_progress else "idle")
        if in_progress and not self.cycle.response_started:
            self.transport.write(OVERLOADED)
        if in_progress:
            self.cycle.disconnected = True  # the application releases what it has
            self.cycle.body = bytearray()
            self.cycle.message_event.set()
        self._uncount()
        self.transport.close()

    def shutdown(self) -> None:
        """Close after the response in progress, or after the next one: a request may be on its way.

        A body that does not end is not waited for.
        """
        self.loop.call_later(LAST_BODY, self._refuse_body)
        if self._had_request and not self.cycle.response_complete:
            super().shutdown()
        else:
            self._last = True
            self.loop.call_later(LAST_REQUEST, self._close_idle)

    def _close_idle(self) -> None:
        if not self._had_request or self.cycle.response_complete:
            self.transport.close()

    def _refuse_body(self) -> None:
        if self._had_request and self.cycle.more_body and not self.cycle.response_complete:
            self.evict()

    def has_unread(self) -> bool:
        """Whether bytes have arrived that were not read yet."""
        count = array("i", [0])
        with suppress(OSError):  # it is closed
            ioctl(self.transport.get_extra_info("socket").fileno(), FIONREAD, count)
        return count[0] > 0

    def send_400_response(self, msg: str) -> None:
        """Answer malformed HTTP: counted, not logged."""
        if not self.transport.is_closing():
            self._limits.closed("malformed")
            super().send_400_response(msg)

    def _awaits_body(self) -> bool:
        return self._had_request and self.cycle.expected_content_length > 0

    def _awaits_request(self) -> bool:
        """Whether the last response is early: what its client still sends is read, for a while.

        The second close is one: by a timer, by a limit, at the end of the process.
        """
        if self._lingers or not self._had_request:
            return False
        cycle = self.cycle
        self._lingers = cycle.response_complete and cycle.more_body and not cycle.keep_alive
        return self._lingers

    def _uncount(self) -> None:
        self._limits.connections.busy(self, self._sender)
        self._limits.connections.open -= self._counted
        self._counted = False

    def _count(self, *, whole: bool = False) -> None:
        """Count new bytes, and evict bodies beyond the limit; then wait for the next turn to read."""
        count, self._uncounted = self._uncounted, 0
        if self.transport.is_closing() or self._in_head:  # in a head that is parsed again
            return
        if self.cycle.response_complete:
            self._surplus += count
            if count and self._surplus > FREE_BYTES:
                self._wait_turn(count)
            return
        body = self.flow.body = self._bodies[-1]
        limit = self._limits.bodies.finish if whole else self._limits.bodies.arrived
        for slow in limit(body, count, self.loop.time()):
            slow.owner.evict()
        small = body.held <= FREE_BYTES
        if whole:
            self.scope["state"][SMALL_BODY_ARRIVED] = small
        else:
            self.cycle.message_event.set()
        if small:  # which is less than HIGH_WATER_LIMIT too
            return
        if not whole:
            self._wait_turn(count)
        elif len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def _wait_turn(self, count: int) -> None:
        if not self.flow.held and not self.transport.is_closing():
            self.flow.held = True
            self.flow.pause_reading()
            self._limits.turns.wait(self, self._sender, count)
