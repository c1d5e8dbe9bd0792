"""How many connections are open, and which idle ones give way to new ones.

Idle is a connection with no request under way: none has come yet, only a part of its head, or
the last one is answered. Whoever holds many of them loses the oldest first.
"""

from collections.abc import Iterator
from typing import Protocol

RESERVED_FILES = 256  # of those that may be open: for Redis, providers' keys, what is being closed
GIVE_WAY = 16  # idle connections closed together


class Connection(Protocol):
    """What can be closed for the good of others."""

    def give_way(self) -> None:
        """Close it."""


class ConnectionLimit:
    """The connections of one process."""

    def __init__(self, most: int) -> None:
        """Allow so many."""
        self.most = most
        self.open = 0  # accepted and not lost
        self._idle: dict[str, dict[Connection, None]] = {}  # by address, the longest idle first

    @property
    def full(self) -> bool:
        """Whether a new one needs another to give way."""
        return self.open >= self.most

    def idle(self, connection: Connection, address: str) -> None:
        """A connection waits for a request from now on, if it did not already."""
        self._idle.setdefault(address, {}).setdefault(connection)

    def busy(self, connection: Connection, address: str) -> None:
        """A connection has a request under way, or is gone."""
        theirs = self._idle.get(address, {})
        theirs.pop(connection, None)
        if not theirs:
            self._idle.pop(address, None)

    def give_way(self) -> list[Connection]:
        """Some idle connections to close, no longer counted as idle."""
        return list(self._take(GIVE_WAY))

    def _take(self, count: int) -> Iterator[Connection]:
        for _ in range(count):
            if not self._idle:
                return
            address = max(self._idle, key=lambda one: len(self._idle[one]))
            connection = next(iter(self._idle[address]))
            self.busy(connection, address)
            yield connection


def limit_of(wanted: int, files: int) -> int:
    """As many connections as are wanted, as far as the limit of open files allows."""
    return max(1, min(wanted, files - min(RESERVED_FILES, files // 2)))
