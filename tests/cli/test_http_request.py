"""The command line's own HTTP/1.1: what a server or proxy may answer is read, or refused."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from processor.cli.http_request import MalformedResponseError, send

HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = b"event: x\ndata: 1\n\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WAYS = {
    "length": HEAD + b"Content-Length: 18\r\n\r\n" + BODY + b"not the body",
    "until the end": HEAD + b"\r\n" + BODY,
    "chunks": CHUNKED + b"3\r\neve\r\nf;a=b\r\n" + BODY[3:] + b"\r\n0\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + b"\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200\nContent-Length: 18\n\n" + BODY,
}
BROKEN = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a head": HEAD + b"Content-",
    "too short": HEAD + b"Content-Length: 19\r\n\r\n" + BODY,
    "half a chunk": CHUNKED + b"ff\r\n" + BODY,
    "no last chunk": CHUNKED + b"3\r\neve\r\n",
    "no size": CHUNKED + b"\r\neve\r\n",
    "no length": HEAD + b"Content-Length: x\r\n\r\n" + BODY,
    "negative": HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
    "endless line": HEAD + b"A: " + b"a" * 70_000 + b"\r\n\r\n",
    "endless head": HEAD + b"A: a\r\n" * 200 + b"\r\n",
}


@contextmanager
def answering(answer: bytes, requests: list[bytes]) -> Iterator[int]:
    """A server on loopback that reads one head, answers with these bytes, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65_536)
                requests.append(head)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def get(port: int, **headers: str):
    return send("http", "127.0.0.1", port, "GET", "/x", headers, None, 10.0)


@pytest.mark.parametrize("way", WAYS)
def test_a_body_is_read_however_it_is_sent(way: str) -> None:
    with answering(WAYS[way], []) as port, get(port) as response:
        assert (response.status, response.read()) == (200, BODY)
    with answering(WAYS[way], []) as port, get(port) as response:
        assert list(response) == [b"event: x\n", b"data: 1\n", b"\n"]


@pytest.mark.parametrize("way", BROKEN)
def test_what_is_not_a_whole_response_is_an_error(way: str) -> None:
    refused = pytest.raises(MalformedResponseError)
    with answering(BROKEN[way], []) as port, refused, get(port) as response:
        response.read()


def test_the_request_names_host_and_length_and_asks_for_no_other() -> None:
    found: list[bytes] = []
    answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    with answering(answer, found) as port, get(port, Accept="*/*") as response:
        assert response.read() == b""
    lines = found[0].decode().split("\r\n")
    head = ["GET /x HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", "Accept: */*"]
    assert lines == [*head, "", ""]
    with answering(answer, found) as port:
        send("http", "127.0.0.1", port, "POST", "/x", {}, None, 10.0).__exit__()
    assert b"Content-Length: 0\r\n" in found[1]


@pytest.mark.parametrize("value", ["a\r\nX: y", "ü", "a\0"])
def test_a_header_cannot_smuggle_another(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        send("http", "127.0.0.1", 1, "GET", "/x", {"A": value}, None, 1.0)


def test_an_ipv6_host_is_in_brackets() -> None:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6

    hosts: list[str | None] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    try:
        server = Server(("::1", 0), Handler)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with send("http", "::1", server.server_port, "GET", "/", {}, None, 10.0) as response:
            assert response.status == 404
        assert hosts == [f"[::1]:{server.server_port}"]
