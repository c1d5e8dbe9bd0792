"""The connection limit: which idle connections are evicted for new ones."""

import pytest

from processor.web.client_address import UNKNOWN, sender_of
from processor.web.connection_limit import EVICTED_TOGETHER, ConnectionLimit, limit_of


class Line:
    """A connection for tests."""

    unread = False

    def evict(self) -> None:
        """Nothing to close."""

    def has_unread(self) -> bool:
        return self.unread


def idle(limit: ConnectionLimit, address: str, count: int) -> list[Line]:
    lines = [Line() for _ in range(count)]
    for line in lines:
        limit.idle(line, address)
    return lines


def test_the_longest_idle_connection_is_evicted_first() -> None:
    limit = ConnectionLimit(100)
    lines = idle(limit, "a", EVICTED_TOGETHER + 3)
    limit.idle(lines[0], "a")  # still: a few bytes of a head do not make it new
    assert limit.evict_idle() == lines[:EVICTED_TOGETHER]
    assert limit.evict_idle() == lines[EVICTED_TOGETHER:]
    assert limit.evict_idle() == []


def test_the_address_with_most_idle_connections_is_evicted_first() -> None:
    limit = ConnectionLimit(100)
    other = idle(limit, "b", 2)
    many = idle(limit, "a", EVICTED_TOGETHER + 2)
    assert limit.evict_idle() == many[:EVICTED_TOGETHER]
    assert set(limit.evict_idle()) == {*other, *many[EVICTED_TOGETHER:]}


def test_a_connection_whose_request_was_not_read_yet_is_not_evicted() -> None:
    limit = ConnectionLimit(100)
    lines = idle(limit, "a", EVICTED_TOGETHER + 1)
    lines[1].unread = True
    assert limit.evict_idle() == [lines[0], *lines[2:EVICTED_TOGETHER]]
    lines[1].unread = False
    assert limit.evict_idle() == [lines[EVICTED_TOGETHER], lines[1]]


def test_a_busy_connection_is_not_evicted() -> None:
    limit = ConnectionLimit(100)
    busy, waiting = idle(limit, "a", 2)
    limit.busy(busy, "a")
    limit.busy(busy, "a")
    assert limit.evict_idle() == [waiting]


@pytest.mark.parametrize(
    ("wanted", "files", "most"),
    [(8192, 65_536, 8192), (8192, 1024, 768), (8192, 256, 128), (8192, 2, 1), (2, 1024, 2)],
)
def test_files_are_left_for_all_else(wanted: int, files: int, most: int) -> None:
    assert limit_of(wanted, files) == most


@pytest.mark.parametrize(
    ("client", "sender"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2::1", 1), sender_of(("2001:db8:1:2:ffff::9", 2))),
        (("", 0), UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_an_ipv6_network_is_one_sender(client: tuple[str, int] | None, sender: str) -> None:
    assert sender_of(client) == sender
    assert sender_of(("2001:db8:1:2::1", 1)) != sender_of(("2001:db8:1:3::1", 1))
