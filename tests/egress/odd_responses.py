"""Malformed responses, and how our HTTP client must read them.

Each is the bytes, the status that a subscriber said with them, the body that a poll can read, and why
it is not whole. A status of None: nothing was said.
Real ones: aiohttp#3641 (a 204 with a body), aiohttp#2304 (headers over 8,190 bytes).
"""

import gzip
import zlib
from typing import NamedTuple


class Odd(NamedTuple):
    """One response."""

    name: str
    raw: bytes
    status: int | None
    body: bytes | None
    cut: str = ""


CLOSED = "connection closed before an answer"
BROKEN = "the answer broke off"
MALFORMED = "the answer is not valid HTTP"
JSON = b'{"id": "1", "status": "succeeded"}'
LENGTH = b"Content-Length: %d\r\n" % len(JSON)
PLAIN = LENGTH + b"\r\n" + JSON
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(JSON), JSON)
END = b"0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
RAW_DEFLATE = zlib.compressobj(wbits=-15)
DEFLATED = RAW_DEFLATE.compress(JSON) + RAW_DEFLATE.flush()


def coded(name: bytes, body: bytes) -> bytes:
    """A response with a content encoding."""
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return OK + b"Content-Encoding: " + name + b"\r\n" + length + body


ODD = [
    Odd("204 with a body", b"HTTP/1.1 204 No Content\r\n" + PLAIN, 204, b""),
    Odd("204 with a body, no length", b"HTTP/1.1 204 No Content\r\n\r\nOK", 204, b""),
    Odd("204 with chunks", b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n" + CHUNK, 204, b""),
    Odd("205 with a body", b"HTTP/1.1 205 Reset\r\n" + PLAIN, 205, JSON),
    Odd("a header of 9,000 bytes", OK + b"X: " + b"x" * 9_000 + b"\r\n" + PLAIN, 200, JSON),
    Odd("a header of 60,000 bytes", OK + b"X: " + b"x" * 60_000 + b"\r\n" + PLAIN, 200, JSON),
    Odd(
        "a header of 200,000 bytes",
        OK + b"X: " + b"x" * 200_000 + b"\r\n" + PLAIN,
        200,
        b"",
        MALFORMED,
    ),
    Odd("a name of 9,000 bytes", OK + b"x" * 9_000 + b": 1\r\n" + PLAIN, 200, JSON),
    Odd("300 headers", OK + b"X: 1\r\n" * 300 + PLAIN, 200, JSON),
    Odd("20,000 headers", OK + b"X: 1\r\n" * 20_000 + PLAIN, 200, b"", MALFORMED),
    Odd("a long reason", b"HTTP/1.1 200 " + b"x" * 9_000 + b"\r\n" + PLAIN, 200, JSON),
    Odd("no reason", b"HTTP/1.1 200\r\n" + PLAIN, 200, JSON),
    Odd("a blank for a reason", b"HTTP/1.1 200 \r\n" + PLAIN, 200, JSON),
    Odd("a status without a name", b"HTTP/1.1 299 Whatever\r\n" + PLAIN, 299, JSON),
    Odd("lower case", b"http/1.1 200 ok\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\n" + JSON, 200, JSON),
    Odd("HTTP/1.2", b"HTTP/1.2 200 OK\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("HTTP/2", b"HTTP/2 200 OK\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("a blank line first", b"\r\n" + OK + PLAIN, 200, JSON),
    Odd("lines that end in LF", (OK + LENGTH).replace(b"\r", b"") + b"\n" + JSON, 200, JSON),
    Odd("100 before", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + PLAIN, 200, JSON),
    Odd("103 before", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + PLAIN, 200, JSON),
    Odd(
        "103 before an odd one",
        b"HTTP/1.1 103 E\r\n\r\n" + OK + b"X y: 1\r\n" + PLAIN,
        200,
        b"",
        MALFORMED,
    ),
    Odd(
        "100 that closes before",
        b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + OK + PLAIN,
        200,
        b"",
        MALFORMED,
    ),
    Odd(
        "100 of HTTP/1.0 before", b"HTTP/1.0 100 Continue\r\n\r\n" + OK + PLAIN, 200, b"", MALFORMED
    ),
    Odd(
        "a length and identity",
        OK + LENGTH + b"Transfer-Encoding: identity\r\n\r\n" + JSON,
        200,
        JSON,
    ),
    Odd("a folded header", OK + b"X: a\r\n b\r\n" + PLAIN, 200, JSON),
    Odd("a blank before the colon", OK + b"X : a\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("a header without a colon", OK + b"Xa\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("a header without a name", OK + b": a\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("a blank in a name", OK + b"X y: a\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("NUL in a header", OK + b"X: a\x00b\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd("Latin-1 in a header", OK + b"X: caf\xe9\r\n" + PLAIN, 200, JSON),
    Odd("a broken cookie", OK + b"Set-Cookie: \xff=;;;\r\n" + PLAIN, 200, JSON),
    Odd("a bad chunk", OK + CHUNKED + b"\r\n" + CHUNK + b"zz\r\nno", 200, JSON, MALFORMED),
    Odd("a bad first chunk", OK + CHUNKED + b"\r\nzz\r\nOK\r\n", 200, b"", MALFORMED),
    Odd("a cut chunk", OK + CHUNKED + b"\r\nff\r\n" + JSON, 200, JSON, BROKEN),
    Odd("no last chunk", OK + CHUNKED + b"\r\n" + CHUNK, 200, JSON, BROKEN),
    Odd(
        "chunks that end in LF",
        OK + CHUNKED + b"\r\n" + (CHUNK + END).replace(b"\r", b""),
        200,
        b"",
        MALFORMED,
    ),
    Odd("a body that says chunked and is not", OK + CHUNKED + b"\r\n" + JSON, 200, b"", MALFORMED),
    Odd(
        "a long trailer",
        OK + CHUNKED + b"\r\n" + CHUNK + b"0\r\nX: " + b"x" * 9_000 + b"\r\n\r\n",
        200,
        JSON,
    ),
    Odd("a length that is too long", OK + b"Content-Length: 99\r\n\r\n" + JSON, 200, JSON, BROKEN),
    Odd("a length that is too short", OK + b"Content-Length: 9\r\n\r\n" + JSON, 200, JSON[:9]),
    Odd("the same length twice", OK + LENGTH + PLAIN, 200, b"", MALFORMED),
    Odd("two lengths", OK + b"Content-Length: 9\r\n" + PLAIN, 200, b"", MALFORMED),
    Odd(
        "a length that is no number", OK + b"Content-Length: x\r\n\r\n" + JSON, 200, b"", MALFORMED
    ),
    Odd("a length below 0", OK + b"Content-Length: -1\r\n\r\n" + JSON, 200, b"", MALFORMED),
    Odd("a length and chunks", OK + LENGTH + CHUNKED + b"\r\n" + CHUNK + END, 200, JSON),
    Odd("closed after the head", OK + b"Content-Length: 9\r\n\r\n", 200, b"", BROKEN),
    Odd("closed in the head", OK + b"Content-Le", 200, b"", CLOSED),
    Odd("closed after the status line", OK, 200, b"", CLOSED),
    Odd("closed in the status line", b"HTTP/1.1 200 O", None, None),
    Odd("closed after a 100", b"HTTP/1.1 100 Continue\r\n\r\n", None, None),
    Odd("no HTTP", b"hello\r\n\r\n", None, None),
    Odd("a status of two digits", b"HTTP/1.1 20 OK\r\n" + PLAIN, None, None),
    Odd("a status of four digits", b"HTTP/1.1 2000 OK\r\n" + PLAIN, None, None),
    Odd("an odd 500", b"HTTP/1.1 500 Oops\r\nX y: 1\r\n" + PLAIN, 500, b"", MALFORMED),
    Odd("an odd 410", b"HTTP/1.1 410 Gone\r\n: 1\r\n\r\n", 410, b"", MALFORMED),
    Odd("gzip", coded(b"gzip", gzip.compress(JSON)), 200, JSON),
    Odd("x-gzip", coded(b"X-GZIP", gzip.compress(JSON)), 200, JSON),
    Odd(
        "gzip in members",
        coded(b"gzip", gzip.compress(JSON[:9]) + gzip.compress(JSON[9:])),
        200,
        JSON,
    ),
    Odd("gzip with padding", coded(b"gzip", gzip.compress(JSON) + bytes(512)), 200, JSON),
    Odd("gzip with a blank line", coded(b"gzip", gzip.compress(JSON) + b"\r\n"), 200, JSON),
    Odd("deflate with padding", coded(b"deflate", zlib.compress(JSON) + b"\0"), 200, JSON),
    Odd(
        "gzip whose second member breaks off",
        coded(b"gzip", gzip.compress(JSON) + gzip.compress(JSON)[:10]),
        200,
        JSON,
        BROKEN,
    ),
    Odd("gzip twice", coded(b"gzip, gzip", gzip.compress(gzip.compress(JSON))), 200, JSON),
    Odd("gzip that breaks off", coded(b"gzip", gzip.compress(JSON)[:-8]), 200, JSON, BROKEN),
    Odd("deflate", coded(b"deflate", zlib.compress(JSON)), 200, JSON),
    Odd("deflate without its head", coded(b"deflate", DEFLATED), 200, JSON),
    Odd("gzip that is none", coded(b"gzip", JSON), 200, JSON),
    Odd("identity", coded(b"identity", JSON), 200, JSON),
    Odd("no encoding", coded(b"", JSON), 200, JSON),
]
