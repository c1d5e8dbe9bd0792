"""The HTTP client of the command line; an answer is JSON, or an error of one line.

It uses the standard library because that ignores proxy variables and follows no redirects, which
could send the key to another server.
"""

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPResponse
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from processor.cli import sse
from processor.cli.credentials import REMEDY
from processor.cli.exit_codes import CommandError, Exit, code_of_status

RESPONSE_TIMEOUT = 75.0  # seconds; the longest wait of the API is 60
STREAM_TIMEOUT = 45.0  # seconds without even a ping: the stream is dead
MULTIPLE_CHOICES, UNAUTHORIZED = 300, 401
SCHEMES: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}


class UnreachableError(CommandError):
    """The server cannot be reached."""

    def __init__(self, url: str, error: Exception) -> None:
        remedy = "start it with `ringback up`, or name the server with --url"
        if isinstance(error, TimeoutError):
            remedy = "it is slow or starting: try again, or ask `ringback doctor`"
        super().__init__(f"cannot reach {url} ({_reason(error)}): {remedy}", Exit.UNREACHABLE)


def path(*segments: str) -> str:
    """Build a path; each segment is percent-encoded completely, so that an id may hold a slash."""
    return "/" + "/".join(quote(segment, safe="", errors="surrogateescape") for segment in segments)


def job_path(source: str, job_id: str, *more: str) -> str:
    """The path of a job, or of what belongs to it."""
    return path("v1", "jobs", source, job_id, *more)


class Stream:
    """An open event stream."""

    def __init__(self, url: str, opened: ExitStack, reader: sse.Reader) -> None:
        """`opened` is closed when the stream ends."""
        self._url, self._opened, self._reader = url, opened, reader

    @property
    def last_id(self) -> str | None:
        """The id after which to resume; an id may come without a message."""
        return self._reader.last_id

    def report(self, passed: Callable[[str | None], None]) -> None:
        """Have each id reported once its message was handled."""
        self._reader.passed = passed

    def __iter__(self) -> Iterator[sse.Message]:
        """The messages until the stream ends; UnreachableError if it breaks."""
        with self._opened:
            try:
                yield from self._reader
            except (OSError, http.client.HTTPException) as error:
                raise UnreachableError(self._url, error) from error


class RawAnswer:
    """An open response, whose body is passed on as it is."""

    def __init__(
        self, client: "Client", connection: http.client.HTTPConnection, answer: HTTPResponse
    ) -> None:
        self._client, self._connection, self._answer = client, connection, answer

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of events."""
        return self._answer.headers.get_content_type() == "text/event-stream"

    def body(self, ours: str) -> bytes:
        """The whole body; CommandError for an error, unless its JSON has the field `ours`."""
        return self._client.read_raw(self._answer, ours)

    def lines(self) -> Iterator[bytes]:
        """The lines as they come, until the response ends or breaks."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            yield from self._answer

    def abort(self) -> None:
        """End it; another thread may be reading."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


class Client:
    """Calls one server with one key."""

    def __init__(self, url: str, key: str | None = None, timeout: float = RESPONSE_TIMEOUT) -> None:
        """CommandError if the URL is not valid."""
        self.url, self._timeout = url, timeout
        self._scheme, self._host, self._port, self._prefix = _address(url)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call(self, method: str, path: str, body: object = None, **params: object) -> Any:
        """Call the API, without params that are None; returns the decoded answer, None if empty."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else _encoded(body)
        with (
            closing(self._connect(self._timeout)) as connection,
            self._request(connection, method, _target(path, params), content, headers) as answer,
        ):
            return self._read(answer)

    def get(self, path: str, **params: object) -> Any:
        """Call with GET."""
        return self.call("GET", path, **params)

    def stream(self, path: str, after: str | None = None, **params: object) -> Stream:
        """Open an event stream, after an event id if given."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        with ExitStack() as opened:
            connection = opened.enter_context(closing(self._connect(STREAM_TIMEOUT)))
            answer = opened.enter_context(
                self._request(connection, "GET", _target(path, params), None, headers)
            )
            if answer.status >= MULTIPLE_CHOICES:
                self._read(answer)
            return Stream(self.url, opened.pop_all(), sse.Reader(answer, after))

    @contextmanager
    def post_raw(
        self, path: str, content: bytes, headers: Mapping[str, str]
    ) -> Iterator[RawAnswer]:
        """POST JSON as it is; the response is open until the end of the context."""
        accept = {"Accept": "application/json, text/event-stream"}
        headers = {**accept, "Content-Type": "application/json", **headers}
        with (
            closing(self._connect(self._timeout)) as connection,
            self._request(connection, "POST", path, content, headers) as answer,
        ):
            yield RawAnswer(self, connection, answer)

    def read_raw(self, answer: HTTPResponse, ours: str) -> bytes:
        """A body; CommandError for an error, unless its JSON has the field `ours`."""
        try:
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self.url, error) from error
        if answer.status >= MULTIPLE_CHOICES and ours.encode() not in raw:
            self._refuse(answer.status, raw)
        return raw

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        return SCHEMES[self._scheme](self._host, self._port, timeout=timeout)

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        content: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        try:
            connection.request(method, self._prefix + target, content, {**headers, **self._headers})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self.url, error) from error
        except ValueError:
            raise CommandError("--key or --after: only printable ASCII can be sent") from None

    def _read(self, answer: http.client.HTTPResponse) -> Any:
        try:
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self.url, error) from error
        if answer.status >= MULTIPLE_CHOICES:
            self._refuse(answer.status, raw)
        try:
            return json.loads(raw) if raw else None
        except ValueError:
            raise CommandError(
                f"{self.url} answered without JSON: is it Ringback?", Exit.UNREACHABLE
            ) from None

    def _refuse(self, status: int, raw: bytes) -> NoReturn:
        """Raise the error that a response says."""
        if status == UNAUTHORIZED:
            refused = "refuses this key" if self._headers else "needs a key"
            raise CommandError(f"{self.url} {refused}: {REMEDY}")
        raise CommandError(_error_message(self.url, status, raw), code_of_status(status))


def _address(url: str) -> tuple[str, str, int | None, str]:
    """Split a server's URL into scheme, host, port and path prefix."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme in SCHEMES and parts.hostname and url.isprintable() and " " not in url:
            return parts.scheme, parts.hostname, parts.port, parts.path.rstrip("/")
    except ValueError:
        pass  # an invalid port or an unclosed bracket: the error is below
    raise CommandError(f"--url {url}: not a server's URL; write it like http://127.0.0.1:8080")


def _target(path: str, params: Mapping[str, object]) -> str:
    given = {name: value for name, value in params.items() if value is not None}
    query = urlencode(
        given, doseq=True, errors="surrogateescape"
    )  # bytes of the command line, as they are
    return f"{path}?{query}" if query else path


def _encoded(body: object) -> bytes:
    """JSON with the command line's bytes unchanged, whatever the locale decoded them to."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _error_message(url: str, status: int, raw: bytes) -> str:
    """`title: detail` of a problem document, or what /readyz lacks, or just the status."""
    try:
        answer = json.loads(raw)
        if "lacks" in answer:
            return "Not ready: " + "; ".join(answer["lacks"])
        return f"{answer['title']}: {answer['detail']}"
    except (ValueError, TypeError, KeyError):
        return f"{url} answered {status} without a reason: is it Ringback?"
