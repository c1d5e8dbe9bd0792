"""One HTTP/1.1 request on a connection of its own; ignores proxy variables, follows no redirects.

The standard library's client imports its e-mail package and TLS, which takes longer than most
commands run.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from io import BufferedReader
from typing import Any, Self

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_LINE, MAX_HEADERS = 65_536, 100
BLOCK = 65_536  # bytes that are read together at most
WITHOUT_BODY = (204, 304)


class MalformedResponseError(OSError):
    """The server, or what answers in its place, does not speak HTTP/1.1, or ended too early."""


class Response:
    """An open response; the body is read once, whole or by its lines as they come."""

    def __init__(self, connection: socket.socket, file: BufferedReader) -> None:
        """Read the head; `file` reads from the connection. OSError, MalformedResponseError included."""
        self._connection, self._file = connection, file
        self.status, self.headers = self._head()
        while self.status // 100 == 1:  # an interim response
            self.status, self.headers = self._head()

    def __enter__(self) -> Self:
        """The response is closed at the end of the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()
        self._connection.close()

    def abort(self) -> None:
        """End the connection; another thread may be reading."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self._pieces())

    def __iter__(self) -> Iterator[bytes]:
        """The lines of the body with their ends."""
        begun = b""
        for piece in self._pieces():
            *lines, begun = (begun + piece).split(b"\n")
            yield from (line + b"\n" for line in lines)
        if begun:
            yield begun

    def _head(self) -> tuple[int, dict[str, str]]:
        version, status, *_ = [*self._line().split(None, 2), b"", b""]
        if not version.startswith(b"HTTP/1.") or not status.isdigit():
            raise MalformedResponseError("it does not answer in HTTP")
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADERS):
            line = self._line()
            if not line:
                return int(status), headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        raise MalformedResponseError("it answers with too many headers")

    def _pieces(self) -> Iterator[bytes]:
        """The body as it comes."""
        length = self.headers.get("content-length")
        if self.status in WITHOUT_BODY:
            return
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            while size := _number(self._line().partition(b";")[0], 16):
                yield from self._exactly(size)
                self._line()
        elif length is not None:
            yield from self._exactly(_number(length.encode(), 10))
        else:
            while piece := self._file.read1(BLOCK):
                yield piece

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._file.read1(min(size, BLOCK))
            if not piece:
                raise MalformedResponseError("it ended the connection in the middle of an answer")
            size -= len(piece)
            yield piece

    def _line(self) -> bytes:
        """The next line of a head, or around a chunk."""
        line = self._file.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            problem = "answers with too long a line" if line else "ended the connection"
            raise MalformedResponseError(f"it {problem}")
        return line.rstrip(b"\r\n")


def send(  # noqa: PLR0917 -- in the order of the parts of a request
    scheme: str,
    host: str,
    port: int | None,
    method: str,
    target: str,
    headers: Mapping[str, str],
    content: bytes | None,
    timeout: float,
) -> Response:
    """Send a request and read the head of its response; each step may take `timeout` seconds.

    OSError if that fails; ValueError for a host, target or header that cannot be sent.
    """
    name = f"[{host}]" if ":" in host else host
    authority = name if port is None else f"{name}:{port}"
    length = {} if content is None and method == "GET" else {"Content-Length": len(content or b"")}
    fields = {"Host": authority, "Connection": "close", **length, **headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {one}" for name, one in fields.items())]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise ValueError("only printable ASCII can be sent")
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    with ExitStack() as opened:
        connection = opened.enter_context(_connect(scheme, host, port, timeout))
        connection.sendall(head + (content or b""))
        response = Response(connection, opened.enter_context(connection.makefile("rb")))
        opened.pop_all()  # the response closes them
        return response


def _connect(scheme: str, host: str, port: int | None, timeout: float) -> socket.socket:
    ascii_name: Any = host.encode()  # for a text, Python imports its IDNA codec
    connection = socket.create_connection((ascii_name, port or DEFAULT_PORTS[scheme]), timeout)
    if scheme == "http":
        return connection
    import ssl  # noqa: PLC0415 -- slow to import, and not for a server on this machine

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(connection, server_hostname=host)


def _number(text: bytes, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise MalformedResponseError("it gives a body without a valid length") from None
