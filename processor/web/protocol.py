"""One connection within the bounds that all share: of bytes in bodies, of reading, of connections."""

from asyncio import AbstractEventLoop, Transport
from collections import deque
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl

from processor.web.body_budget import Body
from processor.web.client_address import sender_of
from processor.web.process_limits import ProcessLimits
from processor.web.read_scheduler import FREE_BYTES
from processor.web.read_timeout import SlowRequestProtocol

OVERLOADED = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


class PausableFlow(FlowControl):
    """Whether bytes are read; the application cannot go on before our turn has come."""

    held = False
    body: Body | None = None

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        """Take the loop for its clock."""
        super().__init__(transport)
        self._loop = loop

    def pause_reading(self) -> None:
        """Leave what comes in the kernel; the sender is not to blame for that."""
        super().pause_reading()
        if self.body:
            self.body.paused = True

    def resume_reading(self) -> None:
        """Read on, unless it is others' turn."""
        if not self.held:
            super().resume_reading()
            if self.body:
                self.body.resumed(self._loop.time())


class BoundedProtocol(SlowRequestProtocol):
    """uvicorn's protocol, whose bodies and idle times count against bounds of the process."""

    flow: PausableFlow

    def __init__(self, *args: Any, guards: ProcessLimits, **more: Any) -> None:
        """Share `guards` with all other connections."""
        super().__init__(*args, **more)
        self._guards = guards
        self._sender = ""
        self._bodies: deque[Body] = deque()  # of requests under way, the oldest first
        self._piece = 0  # bytes of the newest body that are not counted yet
        self._surplus = 0  # bytes of a body whose request is answered already
        self._counted = True  # among the open connections

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as theirs
        """Be idle until a request comes."""
        super().connection_made(transport)
        self.flow = PausableFlow(transport, self.loop)
        self._sender = sender_of(self.client)
        self._guards.connections.idle(self, self._sender)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        while self._bodies:
            self._guards.bodies.release(self._bodies.popleft())
        self._uncount()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count once what may have come in many small chunks."""
        super().data_received(data)
        self._count()

    def on_headers_complete(self) -> None:
        """A request is under way."""
        super().on_headers_complete()
        self._surplus = 0
        self._bodies.append(Body(self, self._sender))
        self._guards.connections.busy(self, self._sender)

    def on_body(self, body: bytes) -> None:
        """Keep some bytes for the application."""
        self._piece += len(body)
        if not self.cycle.response_complete and not self.transport.is_closing():
            self.cycle.body += body

    def on_message_complete(self) -> None:
        """A body is whole: it does not give way any more."""
        self._count(whole=True)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        if self._bodies:
            self._guards.bodies.release(self._bodies.popleft())
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._guards.connections.idle(self, self._sender)

    def read_on(self) -> None:
        """Our turn to read has come; if the application has unread bytes, it says when."""
        self.flow.held = False
        if not self.transport.is_closing() and (
            self.cycle.response_complete or not self.cycle.body
        ):
            self.flow.resume_reading()

    def give_way(self) -> None:
        """Close the connection for the good of others."""
        if self.transport.is_closing():
            return
        under_way = self._asked and not self.cycle.response_complete
        self._guards.closed("body" if under_way else "idle")
        if under_way and not self.cycle.response_started:
            self.transport.write(OVERLOADED)
        if under_way:
            self.cycle.disconnected = True  # the application lets go of what it has
            self.cycle.body = bytearray()
            self.cycle.message_event.set()
        self._uncount()
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP: counted, not logged."""
        if not self.transport.is_closing():
            self._guards.closed("malformed")
            super().send_400_response(msg)

    def _uncount(self) -> None:
        self._guards.connections.busy(self, self._sender)
        self._guards.connections.open -= self._counted
        self._counted = False

    def _count(self, *, whole: bool = False) -> None:
        """Count what came; too much of it and somebody gives way; then wait for our turn."""
        count, self._piece = self._piece, 0
        if self.transport.is_closing() or not self._asked:
            return
        if self.cycle.response_complete:
            self._surplus += count
            if count and self._surplus > FREE_BYTES:
                self._wait_turn(count)
            return
        body = self.flow.body = self._bodies[-1]
        if count:
            self.cycle.message_event.set()
            for one in self._guards.bodies.arrived(body, count, self.loop.time()):
                one.owner.give_way()
        if whole:
            self._guards.bodies.finish(body)
        elif count and body.held > FREE_BYTES:
            self._wait_turn(count)
        elif len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def _wait_turn(self, count: int) -> None:
        if not self.flow.held and not self.transport.is_closing():
            self.flow.held = True
            self.flow.pause_reading()
            self._guards.turns.wait(self, self._sender, count)
