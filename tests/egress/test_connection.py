"""One connection: reads whatever is legal however it arrives, and is used again only where that is safe."""

import asyncio
import os
import socket
import struct
import time
from functools import partial

import aiohttp
import pytest
from hypothesis import given, strategies as st

from processor.egress import connection as connection_module
from processor.egress.connection import Connection
from processor.egress.failures import BrokenResponseError
from processor.egress.salvage import salvage
from processor.errors import BudgetSpent, RequestFailed
from processor.large_body_queue import LargeBodyQueue, LargeBodySlot

from .legal_responses import LEGAL, Legal
from .odd_responses import ODD
from .server import Server, answers, between
from .site import OK, chunked, sized


@pytest.fixture
def tls(tls_for):
    return tls_for("hooks.example")


# -- a length beside a transfer coding -----------------------------------------------------------


@pytest.mark.parametrize("coding", [b"identity", b"Identity", b"gzip", b"chunked, gzip"])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("one_by_one", [True, False])
async def test_without_chunks_a_body_ends_at_its_length(
    coding: bytes, *, wanted: bool, one_by_one: bool
):
    """Its connection stays open, but is not used again: RFC 9112, 6.1."""
    for body in (b"okay", b""):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
        raw = head % (coding, len(body)) + body
        serve = partial(answers, raw, one_by_one=one_by_one)
        async with between(serve) as (server, post):
            for _ in range(2):
                answer = await post(body_wanted=wanted, partial=wanted, timeout=0.9)
                assert (answer.body, answer.cut) == (body if wanted else b"", "")
                assert answer.seconds < 0.8
            assert server.connections == 2


async def test_what_follows_the_length_beside_a_coding_is_not_read():
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nokay"
    async with between(partial(answers, raw)) as (_, post):
        answer = await post(body_wanted=True, partial=True)
        assert (answer.body, answer.cut) == (b"ok", "")


async def test_a_body_that_ends_before_its_length_beside_a_coding_breaks_off():
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 9\r\n\r\nok"
        )

    async with between(serve) as (_, post):
        answer = await post(body_wanted=True, partial=True)
        assert (answer.body, answer.cut) == (b"ok", "the answer broke off")


# -- what is legal ------------------------------------------------------------------------------


@pytest.mark.parametrize("legal", LEGAL, ids=lambda legal: legal.name)
async def test_what_is_legal_is_read_and_its_connection_reused_if_it_may_be(legal: Legal):
    async with between(partial(answers, legal.raw)) as (server, post):
        for wanted in (True, True, False, False):
            answer = await post(body_wanted=wanted)
            assert (answer.status, answer.body) == (legal.status, legal.body if wanted else b"")
            assert "retry-after" not in answer.headers
        assert server.connections == (1 if legal.reusable else 4)


@pytest.mark.parametrize("legal", LEGAL, ids=lambda legal: legal.name)
async def test_aiohttp_reads_the_same(legal: Legal):
    """The client that we had before; so none of these is our opinion alone."""
    limits = {"max_line_size": 65_536, "max_field_size": 65_536, "max_headers": 1000}
    async with (
        between(partial(answers, legal.raw)) as (server, post),
        aiohttp.ClientSession(**limits) as session,
    ):
        ours = await post(body_wanted=True)
        async with session.post(server.url, data=b"{}") as theirs:
            assert (ours.status, ours.body) == (theirs.status, await theirs.read())
            names = {name.lower(): _text(value) for name, value in theirs.headers.items()}
            assert ours.headers == names


def _text(value: str) -> str:
    return value.encode(errors="surrogateescape").decode(errors="replace")


@pytest.mark.parametrize("legal", LEGAL[:-1], ids=lambda legal: legal.name)
async def test_bytes_may_come_one_at_a_time(legal: Legal):
    raw = legal.raw.replace(b"z" * 54_000, b"z" * 50).replace(b"X: y\r\n" * 900, b"X: y\r\n")
    async with between(partial(answers, raw, one_by_one=True)) as (server, post):
        for _ in range(2):
            answer = await post(body_wanted=True)
            assert (answer.status, answer.body) == (legal.status, legal.body)
        assert server.connections == (1 if legal.reusable else 2)


class Pipe:
    """A transport that goes nowhere."""

    closed = False

    def write(self, data):
        """Lose it."""

    def get_write_buffer_size(self):
        """Everything is sent."""
        return 0

    def get_extra_info(self, name):
        """Nothing is known."""

    def abort(self):
        """Note that the connection is closed."""
        self.closed = True


def read(pieces, wanted):
    """What a connection reads from these pieces and an end: a response or an error, and if it is kept."""

    async def run():
        connection = Connection(asyncio.get_running_loop(), lambda _: None)
        pipe = Pipe()
        connection.connection_made(pipe)
        pending = connection.send(b"", 60.0, 65_536 if wanted else None)
        for piece in pieces:
            if not pipe.closed:
                connection.data_received(piece)
        kept = connection.reusable
        connection.connection_lost(None)
        try:
            found = await pending
        except BrokenResponseError as broken:
            return (type(broken.error), salvage(broken.received)), kept
        return (found.status, found.headers, found.body, type(found.cut)), kept

    return asyncio.run(run())


@given(st.data())
def test_it_does_not_matter_where_a_response_is_cut(data):
    """Malformed ones included; but what follows a response may come later than its end."""
    raw = data.draw(st.sampled_from([one.raw for one in LEGAL + ODD if len(one.raw) < 9000]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=5)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    for wanted in (False, True):
        whole, cut = read([raw], wanted), read(pieces, wanted)
        assert whole[0] == cut[0]
        assert whole[1] == cut[1] or not cut[1]


def test_a_body_of_exactly_the_limit_may_end_later():
    raw = chunked(4096)
    (status, *_), kept = read([raw[:-5], raw[-5:]], wanted=False)
    assert (status, kept) == (200, True)


async def test_a_body_that_only_the_connection_ends_is_broken_by_a_reset():
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        await server.go.wait()
        reset_by(writer)

    async with between(serve) as (server, post):
        server.go = asyncio.Event()
        task = asyncio.create_task(post(body_wanted=True))
        async with asyncio.timeout(10):
            while not server.requests:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
        server.go.set()
        with pytest.raises(RequestFailed, match="connection reset"):
            await task


async def test_what_comes_for_a_cancelled_request_is_nobodys():
    loop = asyncio.get_running_loop()
    connection = Connection(loop, lambda _: None)
    connection.connection_made(Pipe())
    connection.send(b"", 60.0, None).cancel()
    connection.data_received(OK)
    connection.connection_lost(None)


async def test_the_timer_of_a_request_ends_with_it():
    """Else it would end a later request on the same connection."""

    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(OK)
        await server.request(reader, number)
        await asyncio.sleep(0.4)
        writer.write(OK)

    async with between(serve) as (server, post):
        await post(timeout=0.2)
        assert (await post()).status == 200
        assert server.connections == 1


async def test_an_unwanted_body_does_not_outlast_the_request(monkeypatch):
    monkeypatch.setattr(connection_module, "DRAIN_TIMEOUT", 60.0)

    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(sized(900)[:-1])
        await reader.read()

    async with between(serve) as (_, post), asyncio.timeout(10):
        assert (await post(timeout=0.2)).status == 200


@pytest.mark.parametrize("head", [b"content-length: 9\r\n", b"transfer-encoding: chunked\r\n"])
async def test_of_a_body_that_breaks_off_the_pieces_that_came_are_read(head):
    pieces = [b"3\r\none\r\n", b"3\r\ntwo\r\n"] if b"chunked" in head else [b"one", b"two"]

    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        for piece in (b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", *pieces):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that each is a packet

    async with between(serve) as (_, post):
        answer = await post(body_wanted=True, partial=True)
        assert (answer.status, answer.body) == (200, b"onetwo")


# -- when a connection is used again ------------------------------------------------------------


def reset_by(writer):
    """Have the connection end with a reset when it is closed."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def closes_from(first, *, partly=b"", reset=False):
    """A server that answers requests before the number `first`, and then hangs up on each."""

    async def serve(server, reader, writer, number):
        while True:
            await server.request(reader, number)
            if len(server.requests) < first:
                writer.write(OK)
                continue
            writer.write(partly)
            await writer.drain()
            if reset:
                reset_by(writer)
            return

    return serve


@pytest.mark.parametrize("reset", [False, True])
async def test_a_request_that_meets_a_stale_connection_is_sent_once_more_on_a_new_one(reset):
    async def serve(server, reader, writer, number):
        if number == 1:
            await closes_from(2, reset=reset)(server, reader, writer, number)
        else:
            await answers(OK, server, reader, writer, number)

    async with between(serve) as (server, post):
        for body in (b"1", b"2", b"3"):
            assert (await post(body)).status == 200
        assert server.requests == [(1, b"1"), (1, b"2"), (2, b"2"), (2, b"3")]


@pytest.mark.parametrize(
    ("method", "times"), [("POST", 1), ("PATCH", 1), ("GET", 2), ("PUT", 2), ("OPTIONS", 2)]
)
async def test_what_must_not_arrive_twice_is_sent_once(method, times):
    """The server may have closed the connection after it did what it was asked."""
    async with between(closes_from(2)) as (server, post):
        await post(b"1")
        with pytest.raises(RequestFailed, match="connection closed before an answer"):
            await post(b"2", method=method, repeatable=False)
        assert server.requests[1:] == [(number, b"2") for number in range(1, times + 1)]


async def test_it_is_sent_once_more_but_not_twice():
    async with between(closes_from(2)) as (server, post):
        await post(b"1")
        with pytest.raises(RequestFailed, match="connection closed before an answer"):
            await post(b"2")
        assert server.requests == [(1, b"1"), (1, b"2"), (2, b"2")]


async def test_each_time_that_a_request_is_sent_is_asked_for_first():
    asked = []

    async def may_send():
        asked.append(len(server.requests))

    async with between(closes_from(2)) as (server, post):
        await post(b"1", may_send=may_send)
        with pytest.raises(RequestFailed):
            await post(b"2", may_send=may_send)
        assert asked == [0, 1, 2]


async def test_a_request_that_may_not_be_sent_is_not_and_its_connection_stays():
    async def may_not():
        raise BudgetSpent("not now", 1.0)

    async with between(partial(answers, OK)) as (server, post):
        await post(b"1")
        with pytest.raises(BudgetSpent):
            await post(b"2", may_send=may_not)
        await post(b"3")
        assert server.requests == [(1, b"1"), (1, b"3")]


@pytest.mark.parametrize("first", [True, False], ids=["new connection", "idle connection"])
async def test_nothing_is_sent_once_the_time_of_its_request_is_over(first):
    async def slow():
        await asyncio.sleep(10)

    async def stuck():
        time.sleep(0.3)  # noqa: ASYNC251 - as a busy loop does

    async with between(partial(answers, OK)) as (server, post):
        if not first:
            await post(b"1")
        began = time.monotonic()
        for may_send in (slow, stuck):
            with pytest.raises(RequestFailed, match=r"timed out after 0.2 s"):
                await post(b"2", timeout=0.2, may_send=may_send)
        assert time.monotonic() - began < 5
        await post(b"3")
        assert {body for _, body in server.requests} == ({b"3"} if first else {b"1", b"3"})


async def test_a_request_on_a_new_connection_is_sent_once():
    async with between(closes_from(1)) as (server, post):
        with pytest.raises(RequestFailed, match="connection closed before an answer"):
            await post(b"1")
        assert server.requests == [(1, b"1")]


async def test_a_request_that_got_a_byte_of_its_response_is_sent_once():
    async with between(closes_from(2, partly=b"H")) as (server, post):
        await post(b"1")
        with pytest.raises(RequestFailed, match="connection closed before an answer"):
            await post(b"2")
        assert server.requests == [(1, b"1"), (1, b"2")]


async def test_a_request_that_timed_out_is_sent_once():
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(OK)
        await server.request(reader, number)
        await reader.read()

    async with between(serve) as (server, post):
        await post(b"1")
        with pytest.raises(RequestFailed, match=r"timed out after 0.2 s"):
            await post(b"2", timeout=0.2)
        assert server.requests == [(1, b"1"), (1, b"2")]


async def test_a_connection_that_the_server_closed_is_not_used():
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(OK)

    async with between(serve) as (server, post):
        for body in (b"1", b"2"):
            await post(body)
            await server.all_closed()
            await asyncio.sleep(0)
        assert server.requests == [(1, b"1"), (2, b"2")]


@pytest.mark.parametrize("unasked", [OK, b"H", b"\r\n", b"HTTP/1.1 500 Oops\r\n\r\n"])
async def test_bytes_that_nobody_asked_for_close_an_idle_connection(unasked):
    """Else they would be taken for the response to the next request."""
    more = asyncio.Event()

    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(b"HTTP/1.1 20%d OK\r\ncontent-length: 0\r\n\r\n" % number)
        if number == 1:
            await more.wait()
            writer.write(unasked)
        await reader.read()

    async with between(serve) as (server, post):
        assert (await post()).status == 201
        more.set()
        await server.all_closed()
        assert (await post()).status == 202


@pytest.mark.parametrize("unasked", [OK, b"H", b"<html>", b"HTTP/1.1 500 Oops\r\n\r\n"])
async def test_bytes_behind_a_response_close_its_connection(unasked):
    raw = b"HTTP/1.1 201 OK\r\ncontent-length: 2\r\n\r\nok" + unasked
    async with between(partial(answers, raw)) as (server, post):
        for wanted in (False, True, True):
            answer = await post(body_wanted=wanted)
            assert (answer.status, answer.body) == (201, b"ok" if wanted else b"")
        assert server.connections == 3


async def test_bytes_before_the_first_request_are_no_response():
    greeted = asyncio.Event()

    async def serve(server, reader, writer, number):
        writer.write(OK)
        await writer.drain()
        greeted.set()
        await reader.read()

    loop = asyncio.get_running_loop()
    async with Server(serve) as server:
        _, connection = await loop.create_connection(
            lambda: Connection(loop, lambda _: None),
            "127.0.0.1",
            int(server.url.split(":")[2][:-1]),
        )
        await server.all_closed()
        assert not connection.reusable
        with pytest.raises(BrokenResponseError):
            await connection.send(b"POST / HTTP/1.1\r\n\r\n", 5.0, None)


async def test_a_connection_whose_request_was_not_read_to_its_end_is_not_reused():
    async def serve(server, reader, writer, number):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(10)

    async with between(serve) as (server, post):
        for _ in range(2):
            assert (await post(b"x" * 20_000_000)).status == 413
        assert server.connections == 2


@pytest.mark.parametrize(("size", "connections"), [(9000, 1), (500_000, 2)])
async def test_over_tls_only_a_small_request_that_was_answered_early_leaves_its_connection(
    tls, size, connections
):
    """The rest of a large one may wait below TLS, and the next request would wait behind it."""

    async def serve(server, reader, writer, number):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        if size < 16_384:
            await reader.readexactly(size)
            await serve(server, reader, writer, number)
        await asyncio.sleep(10)

    async with between(serve, tls=tls) as (server, post):
        for _ in range(2):
            assert (await post(b"x" * size, timeout=2.0)).status == 413
        assert server.connections == connections


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "cut"])
async def test_over_tls_a_body_without_length_is_whole_only_if_tls_was_ended(tls, ended):
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        if not ended:
            hang_up_below_tls(writer)

    async with between(serve, tls=tls) as (_, post):
        assert (await post()).status == 200
        assert (await post(body_wanted=True, partial=True)).body == b"half"
        if ended:
            assert (await post(body_wanted=True)).body == b"half"
        else:
            with pytest.raises(RequestFailed, match="the answer broke off"):
                await post(body_wanted=True)


def hang_up_below_tls(writer):
    """End TCP without a word of TLS, as who cuts a connection does."""
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as sock:
        sock.shutdown(socket.SHUT_WR)


async def test_a_204_that_announces_a_body_is_the_last_of_its_connection():
    """The body of aiohttp#3641 may come later, and then it was taken for the next response."""
    raw = b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n"
    async with between(partial(answers, raw)) as (server, post):
        for _ in range(2):
            assert (await post()).status == 204
        assert server.connections == 2


async def test_what_follows_a_101_is_not_http():
    raw = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    async with between(partial(answers, raw + b"content-length")) as (server, post):
        for _ in range(2):
            assert (await post()).status == 101
        assert server.connections == 2


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_body_that_is_too_long_closes_its_connection_before_the_rest_comes(wanted):
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(sized(6000)[:-500])
        await reader.read()

    async with between(serve) as (server, post):
        assert (await post(body_wanted=wanted, read_limit=5000)).status == 200
        await server.all_closed()


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"x: y\r\n",
        b"x",
    ],
    ids=["1xx", "headers", "one header"],
)
async def test_an_endless_head_ends_the_request(endless):
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(b"" if endless.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(endless * 1000)
            await writer.drain()

    async with between(serve) as (server, post):
        with pytest.raises(RequestFailed, match="the answer is not valid HTTP"):
            await post(body_wanted=True)
        await server.all_closed()


@pytest.mark.parametrize(
    "endless", [b"1;x=%b\r\ny\r\n" % (b"x" * 5000), b"0\r\nx: %b\r\n" % (b"y" * 5000)],
    ids=["chunk extensions", "trailers"],
)  # fmt: skip
async def test_what_is_endless_beside_a_body_ends_the_request(endless):
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(endless)
        while True:
            writer.write(endless.partition(b"\r\n")[2] if endless[:1] == b"0" else endless)
            await writer.drain()

    async with between(serve) as (server, post):
        with pytest.raises(RequestFailed, match="the answer is not valid HTTP"):
            await post(body_wanted=True, read_limit=10_000)
        assert (await post()).status == 200
        await server.all_closed()


async def test_a_large_request_is_sent_whole():
    body = bytes(range(256)) * 40_000
    async with between(partial(answers, OK)) as (server, post):
        assert (await post(body)).status == 200
        assert server.requests == [(1, body)]


@pytest.mark.parametrize("raw", [sized(60_000), chunked(*[500] * 120)])
async def test_a_wanted_body_of_many_packets_is_read_whole(raw):
    async with between(partial(answers, raw)) as (server, post):
        for _ in range(2):
            assert len((await post(body_wanted=True)).body) == 60_000
        assert server.connections == 1


async def test_a_large_answer_over_tls_waits_for_room(tls):
    size = 12_000_000
    async with between(partial(answers, sized(size)), tls=tls) as (_, post):
        queue = LargeBodyQueue(together=size)
        holder, slot = LargeBodySlot(queue, "a"), LargeBodySlot(queue, "b")
        await holder.acquire(1)
        options = {"body_wanted": True, "read_limit": size, "partial": True}
        cut = await post(slot=slot, timeout=0.3, **options)
        assert cut.cut == "no room for another large answer in time"
        assert 1_048_576 < len(cut.body) < 4_000_000
        asked = asyncio.ensure_future(post(slot=slot, **options))
        await asyncio.sleep(0)
        assert not asked.done()
        holder.release()
        answer = await asked
        assert (len(answer.body), answer.cut) == (size, "")
