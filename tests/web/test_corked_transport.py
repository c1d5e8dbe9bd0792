"""The head and the body of a response leave in one write."""

import asyncio

from processor.web.corked_transport import CorkedTransport

from .calling import Served

HEAD = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n"


class Recorder(asyncio.Transport):
    """A transport that keeps what is written, one entry a write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.writes.append(b"closed")

    def abort(self) -> None:
        self.writes.append(b"aborted")


def test_a_head_waits_for_its_body() -> None:
    inner = Recorder()
    corked = CorkedTransport(inner, lambda: True)
    corked.write(HEAD)
    assert inner.writes == []
    corked.write(b"{}")
    assert inner.writes == [HEAD + b"{}"]


def test_nothing_is_written_to_a_client_that_is_gone() -> None:
    inner = Recorder()
    corked = CorkedTransport(inner, lambda: True)
    corked.write(HEAD)
    inner.closing = True
    corked.write(b"{}")
    corked.uncork()
    assert inner.writes == []


def test_a_body_in_pieces_is_not_held_back() -> None:
    inner = Recorder()
    corked = CorkedTransport(inner, lambda: True)
    for data in (HEAD, b"{", b"}"):
        corked.write(data)
    assert inner.writes == [HEAD + b"{", b"}"]


def test_a_head_that_announces_no_body_is_written_at_once() -> None:
    inner = Recorder()
    CorkedTransport(inner, lambda: False).write(HEAD)
    assert inner.writes == [HEAD]


def test_a_head_without_its_body_is_written_before_the_end() -> None:
    inner = Recorder()
    corked = CorkedTransport(inner, lambda: True)
    corked.write(HEAD)
    corked.uncork()
    corked.uncork()
    corked.write(HEAD)
    corked.close()
    assert inner.writes == [HEAD, HEAD, b"closed"]


def test_an_aborted_connection_writes_nothing_more() -> None:
    inner = Recorder()
    corked = CorkedTransport(inner, lambda: True)
    corked.write(HEAD)
    corked.abort()
    corked.uncork()
    assert inner.writes == [b"aborted"]


async def test_the_answer_to_a_head_request_is_not_held_back(served: Served) -> None:
    """It announces the length of a body that does not follow."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for _ in range(2):
        writer.write(b"HEAD /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"content-length: 14" in answer
    writer.close()
