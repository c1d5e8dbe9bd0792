"""Responses that are unusual and legal (RFC 9112), and how every client must read them."""

from typing import NamedTuple


class Legal(NamedTuple):
    """The bytes; status and body that they mean; whether the connection can be used again."""

    name: str
    raw: bytes
    status: int
    body: bytes
    reusable: bool = True


OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
PLAIN = LENGTH + b"\r\nok"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

LEGAL = [
    Legal("the usual one", OK + PLAIN, 200, b"ok"),
    Legal("no body", OK + b"Content-Length: 0\r\n\r\n", 200, b""),
    Legal("chunks", OK + CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200, b"ok"),
    Legal(
        "chunk sizes in capitals, with zeros",
        OK + CHUNKED + b"000A\r\n0123456789\r\n00\r\n\r\n",
        200,
        b"0123456789",
    ),
    Legal("chunk extensions", OK + CHUNKED + b'2;a=b;c="d;e"\r\nok\r\n0;last\r\n\r\n', 200, b"ok"),
    Legal(
        "trailers", OK + CHUNKED + b"2\r\nok\r\n0\r\nRetry-After: 9\r\nX-Sum: 1\r\n\r\n", 200, b"ok"
    ),
    Legal("no chunk but the last", OK + CHUNKED + b"0\r\n\r\n", 200, b""),
    Legal(
        "two codings",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        b"ok",
    ),
    Legal("100 before", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + PLAIN, 200, b"ok"),
    Legal(
        "100, 102 and two 103 before",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nRetry-After: 9\r\n\r\n"
        + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n" * 2
        + OK
        + PLAIN,
        200,
        b"ok",
    ),
    Legal("an unknown 1xx before", b"HTTP/1.1 199 Hm\r\n\r\n" + OK + PLAIN, 200, b"ok"),
    Legal("an unknown status", b"HTTP/1.1 599 Hm\r\n" + PLAIN, 599, b"ok"),
    Legal("204", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    Legal(
        "204 with a length of 0", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, b""
    ),
    Legal(
        "304 with the length of what was not sent",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        304,
        b"",
    ),
    Legal(
        "an offer to upgrade",
        OK + b"Upgrade: h2,h2c\r\nConnection: Upgrade\r\n" + PLAIN,
        200,
        b"ok",
    ),
    Legal(
        "an offer to upgrade and to stay",
        OK + b"Upgrade: h2c\r\nConnection: Upgrade, Keep-Alive\r\n" + PLAIN,
        200,
        b"ok",
    ),
    Legal(
        "Connection: keep-alive",
        OK + b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n" + PLAIN,
        200,
        b"ok",
    ),
    Legal("Connection: close", OK + b"Connection: close\r\n" + PLAIN, 200, b"ok", reusable=False),
    Legal(
        "Connection: Close among others",
        OK + b"connection: foo,  Close\r\n" + PLAIN,
        200,
        b"ok",
        reusable=False,
    ),
    Legal(
        "chunks and Connection: close",
        OK + b"Connection: close\r\n" + CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
        200,
        b"ok",
        reusable=False,
    ),
    Legal("until the end", OK + b"\r\nok", 200, b"ok", reusable=False),
    Legal("HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + PLAIN, 200, b"ok", reusable=False),
    Legal("HTTP/1.0 until the end", b"HTTP/1.0 200 OK\r\n\r\nok", 200, b"ok", reusable=False),
    Legal(
        "HTTP/1.0 and keep-alive",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + PLAIN,
        200,
        b"ok",
    ),
    Legal(
        "HTTP/1.0 and keep-alive, without a length",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nok",
        200,
        b"ok",
        reusable=False,
    ),
    Legal("blanks around values", OK + b"X:\t a b \t\r\nContent-Length:2  \r\n\r\nok", 200, b"ok"),
    Legal("empty values", OK + b"X:\r\nY: \r\n" + PLAIN, 200, b"ok"),
    Legal("an empty value at the end", OK + LENGTH + b"X:\r\n\r\nok", 200, b"ok"),
    Legal("a folded header", OK + b"X: a\r\n  b\r\n\tc\r\n" + PLAIN, 200, b"ok"),
    Legal("a folded header at the end", OK + LENGTH + b"X: a\r\n  b\r\n\r\nok", 200, b"ok"),
    Legal("bytes over 127 in a header", OK + b"X: caf\xe9 \xc3\xa9\r\n" + PLAIN, 200, b"ok"),
    Legal(
        "a head of 60,000 bytes",
        OK + b"X: y\r\n" * 900 + b"Z: " + b"z" * 54_000 + b"\r\n" + PLAIN,
        200,
        b"ok",
    ),
    Legal("lines that end in LF", (OK + LENGTH).replace(b"\r", b"") + b"\nok", 200, b"ok"),
    Legal("blanks behind a chunk size", OK + CHUNKED + b"2 \r\nok\r\n0\r\n\r\n", 200, b"ok"),
    Legal("no reason", b"HTTP/1.1 200 \r\n" + PLAIN, 200, b"ok"),
    Legal("a reason over 127", b"HTTP/1.1 200 \xe9\r\n" + PLAIN, 200, b"ok"),
    Legal("an empty line after the body", OK + PLAIN + b"\r\n", 200, b"ok"),
]
