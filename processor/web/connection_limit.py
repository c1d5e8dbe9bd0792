"""Connection limit: how many are open, and which idle ones are closed for new ones.

A connection is idle while it has no request in progress: none has come yet, only a part of its head,
or the last one is answered. The address with the most idle connections loses its oldest first.
"""

from collections.abc import Iterator
from typing import Protocol

RESERVED_FILES = 256  # of the open files: for Redis, providers' keys, connections being closed
EVICTED_TOGETHER = 16  # idle connections


class Connection(Protocol):
    """A connection that can be closed to make room."""

    def evict(self) -> None:
        """Close the connection to make room."""

    def has_unread(self) -> bool:
        """Whether bytes have arrived that were not read yet: they may be a request."""


class ConnectionLimit:
    """The connections of one process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0  # accepted and not lost
        self._idle: dict[str, dict[Connection, None]] = {}  # by address, the longest idle first

    @property
    def full(self) -> bool:
        """Whether another must be closed before a new one is accepted."""
        return self.open >= self.most

    def idle(self, connection: Connection, address: str) -> None:
        """Note that a connection waits for a request."""
        self._idle.setdefault(address, {}).setdefault(connection)

    def busy(self, connection: Connection, address: str) -> None:
        """Note that a connection has a request in progress, or is closed."""
        theirs = self._idle.get(address, {})
        theirs.pop(connection, None)
        if not theirs:
            self._idle.pop(address, None)

    def evict_idle(self) -> list[Connection]:
        """Idle connections to close; they do not count as idle any more.

        One that only seems idle, since a busy process has not read its request yet, is not among
        them: it counts as the newest.
        """
        return list(self._oldest_idle(EVICTED_TOGETHER))

    def _oldest_idle(self, count: int) -> Iterator[Connection]:
        for _ in range(count):
            if not self._idle:
                return
            address = max(self._idle, key=lambda key: len(self._idle[key]))
            connection = next(iter(self._idle[address]))
            self.busy(connection, address)
            if connection.has_unread():
                self.idle(connection, address)
            else:
                yield connection


def limit_of(wanted: int, files: int) -> int:
    """The wanted number of connections, or as many as the limit of open files allows."""
    return max(1, min(wanted, files - min(RESERVED_FILES, files // 2)))
