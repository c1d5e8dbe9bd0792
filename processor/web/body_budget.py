"""Limits the bytes of all bodies in flight, verified or not, and chooses which to close beyond that.

It only decides: the protocol reports bytes as they arrive, and closes the connections chosen.
"""

import math
from collections import Counter
from collections.abc import Iterable

import msgspec

from processor.web.connection_limit import Connection

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024  # of all bodies, from their first byte to their answer
MAX_ADDRESS_BYTES = MAX_IN_FLIGHT_BYTES // 2  # of unfinished bodies from one address
FREED = 0.125  # part of the limit that is freed at once, so that it is not searched for each byte
SMALL_BODY = 16 * 1024  # bytes; closing an unfinished body below this frees next to nothing
STALLED = 0.5  # seconds without bytes, after which a sender counts as slower than all that send
RATE_WINDOW = 1.0  # seconds after which earlier bytes hardly count as speed


class Body(msgspec.Struct, eq=False):
    """What has arrived of one request's body, on the connection `owner`."""

    owner: Connection
    address: str
    held: int = 0  # bytes
    finished: bool = False  # complete: it will be answered, and is never closed
    paused: bool = False  # by us, so its silence is not the sender's
    rate: float = 0.0  # bytes in the last moment before `received_at`
    received_at: float = 0.0

    def arrived(self, count: int, now: float) -> None:
        """Count bytes."""
        self.rate = self.speed(now) + count
        self.received_at = now
        self.held += count

    def speed(self, now: float) -> float:
        """Bytes a second, roughly; earlier bytes count less and less."""
        return self.rate * math.exp(-self.silence(now) / RATE_WINDOW)

    def silence(self, now: float) -> float:
        """Seconds without bytes while we read."""
        return 0.0 if self.paused else max(0.0, now - self.received_at)

    def priority(self, now: float) -> tuple[bool, bool, float]:
        """Sorts bodies: the ones to close first come first."""
        silence = self.silence(now)
        stalled = silence >= STALLED
        return self.held < SMALL_BODY, not stalled, -silence if stalled else self.speed(now)

    def resumed(self, now: float) -> None:
        """Note that we read again, so that silence counts from now."""
        if self.paused:
            self.paused, self.received_at = False, now


class BodyBudget:
    """Counts the bodies of one process."""

    def __init__(self, total: int | None = None, address: int | None = None) -> None:
        """The limits are in bytes."""
        self._max_total = MAX_IN_FLIGHT_BYTES if total is None else total
        self._max_address = MAX_ADDRESS_BYTES if address is None else address
        self.total = 0
        self._unfinished: dict[Body, None] = {}
        self._by_address: Counter[str] = Counter()  # bytes of unfinished bodies

    def arrived(self, body: Body, count: int, now: float) -> list[Body]:
        """Count bytes of an unfinished body; returns the bodies to close, perhaps this one.

        Their bytes are not counted any more: the caller must release them.
        """
        body.arrived(count, now)
        self.total += count
        self._unfinished[body] = None
        self._by_address[body.address] += count
        chosen = self._to_close(body.address, now)
        for closed in chosen:
            self.release(closed)
        return chosen

    def _to_close(self, address: str, now: float) -> list[Body]:
        theirs = self._by_address[address]
        if theirs > self._max_address:
            bodies = [other for other in self._unfinished if other.address == address]
            return _slowest(bodies, theirs - self._max_address * (1 - FREED), now)
        if self.total > self._max_total:
            return _slowest(self._unfinished, self.total - self._max_total * (1 - FREED), now)
        return []

    def finish(self, body: Body, count: int, now: float) -> list[Body]:
        """Count the last bytes of a body, which then keeps its bytes until it is released; returns
        the bodies to close. Most bodies arrive at once and fit: they are never among the unfinished.
        """
        theirs = self._by_address.get(body.address, 0) + count
        if theirs > self._max_address or self.total + count > self._max_total:
            chosen = self.arrived(body, count, now)
            body.finished = True
            self._forget(body)
            return chosen
        if self._unfinished:
            self._forget(body)
        body.finished = True
        body.held += count
        self.total += count
        return []

    def release(self, body: Body) -> None:
        """Note that a body is answered, or its connection closed."""
        if not body.finished:
            self._forget(body)
        self.total -= body.held
        body.held = 0

    def slowest(self, now: float) -> Body | None:
        """The unfinished body to close first."""
        return min(self._unfinished, key=lambda body: body.priority(now), default=None)

    def _forget(self, body: Body) -> None:
        if body in self._unfinished:
            del self._unfinished[body]
            self._by_address[body.address] -= body.held
            if not self._by_address[body.address]:
                del self._by_address[body.address]


def _slowest(bodies: Iterable[Body], count: float, now: float) -> list[Body]:
    """The slowest bodies that hold so many bytes together; small ones last."""
    order = sorted(bodies, key=lambda body: body.priority(now))
    chosen, freed = [], 0
    for body in order:
        if freed >= count:
            break
        chosen.append(body)
        freed += body.held
    return chosen
