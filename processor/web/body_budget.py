"""One budget for the bytes of all bodies in flight, verified or not, and who gives way once it is spent.

Decides only: the protocol reports bytes as they arrive, and closes the connections named.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from processor.web.connection_limit import Connection

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024  # of all bodies, from their first byte to their answer
MAX_ADDRESS_BYTES = MAX_IN_FLIGHT_BYTES // 2  # of unfinished bodies from one address
FREED = 0.125  # part of a spent budget that is freed at once, so that it is not searched per byte
SMALL_BODY = 16 * 1024  # bytes; closing an unfinished body below this frees next to nothing
STALLED = 0.5  # seconds of a sender's silence, after which it is slower than all that go on
RATE_WINDOW = 1.0  # seconds after which a sender's earlier bytes hardly count as speed


@dataclass(eq=False, slots=True)
class Body:
    """What has arrived of one request's body, on the connection `owner`."""

    owner: Connection
    address: str
    held: int = 0  # bytes
    finished: bool = False  # all of it is here: it will be answered, and never gives way
    paused: bool = False  # by us, so its silence is not the sender's
    rate: float = 0.0  # bytes in the last moment, at `heard_at`
    heard_at: float = 0.0

    def arrived(self, count: int, now: float) -> None:
        """Take note of bytes."""
        self.rate = self.speed(now) + count
        self.heard_at = now
        self.held += count

    def speed(self, now: float) -> float:
        """Bytes a second, about; what a sender sent earlier counts less and less."""
        return self.rate * math.exp(-self.silence(now) / RATE_WINDOW)

    def silence(self, now: float) -> float:
        """Seconds that the sender has sent nothing, although we listen."""
        return 0.0 if self.paused else max(0.0, now - self.heard_at)

    def worth(self, now: float) -> tuple[bool, bool, float]:
        """What sorts bodies, those that give way first in front."""
        silence = self.silence(now)
        stalled = silence >= STALLED
        return self.held < SMALL_BODY, not stalled, -silence if stalled else self.speed(now)

    def resumed(self, now: float) -> None:
        """Begin to wait for the sender again."""
        if self.paused:
            self.paused, self.heard_at = False, now


class BodyBudget:
    """Counts the bodies of one process."""

    def __init__(self, total: int | None = None, address: int | None = None) -> None:
        """Start with nothing in flight; the limits are bytes."""
        self._max_total = MAX_IN_FLIGHT_BYTES if total is None else total
        self._max_address = MAX_ADDRESS_BYTES if address is None else address
        self.total = 0
        self._unfinished: dict[Body, None] = {}
        self._by_address: Counter[str] = Counter()  # bytes of unfinished bodies

    def arrived(self, body: Body, count: int, now: float) -> list[Body]:
        """Count bytes of an unfinished body; the bodies that give way, which may be this one.

        What they hold is counted no more: whoever gets the list has to let go of it.
        """
        body.arrived(count, now)
        self.total += count
        self._unfinished[body] = None
        self._by_address[body.address] += count
        chosen = self._spent(body.address, now)
        for one in chosen:
            self.release(one)
        return chosen

    def _spent(self, address: str, now: float) -> list[Body]:
        theirs = self._by_address[address]
        if theirs > self._max_address:
            bodies = [one for one in self._unfinished if one.address == address]
            return _slowest(bodies, theirs - self._max_address * (1 - FREED), now)
        if self.total > self._max_total:
            return _slowest(self._unfinished, self.total - self._max_total * (1 - FREED), now)
        return []

    def finish(self, body: Body) -> None:
        """A body is whole: from now on it keeps its bytes until it is released."""
        body.finished = True
        self._forget(body)

    def release(self, body: Body) -> None:
        """A body is answered, or its connection is gone."""
        self._forget(body)
        self.total -= body.held
        body.held = 0

    def slowest(self, now: float) -> Body | None:
        """The unfinished body whose connection is the least worth keeping."""
        return min(self._unfinished, key=lambda one: one.worth(now), default=None)

    def _forget(self, body: Body) -> None:
        if body in self._unfinished:
            del self._unfinished[body]
            self._by_address[body.address] -= body.held
            if not self._by_address[body.address]:
                del self._by_address[body.address]


def _slowest(bodies: Iterable[Body], count: float, now: float) -> list[Body]:
    """The slowest bodies that hold so many bytes together; small ones last."""
    order = sorted(bodies, key=lambda one: one.worth(now))
    chosen, freed = [], 0
    for one in order:
        if freed >= count:
            break
        chosen.append(one)
        freed += one.held
    return chosen
