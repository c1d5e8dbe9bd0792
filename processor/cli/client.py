"""The HTTP client of the command line; an answer is JSON, or an error of one line.

No proxy and no redirect can send the key to another server.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from processor.cli import http_request, sse
from processor.cli.credentials import REMEDY
from processor.cli.exit_codes import CommandError, Exit, code_of_status
from processor.cli.http_request import DEFAULT_PORTS, Response

RESPONSE_TIMEOUT = 75.0  # seconds; the longest wait of the API is 60
STREAM_TIMEOUT = 45.0  # seconds without even a ping: the stream is dead
MULTIPLE_CHOICES, UNAUTHORIZED, NOT_FOUND = 300, 401, 404


class UnreachableError(CommandError):
    """The server cannot be reached; `reason` says why, in a few words."""

    def __init__(self, url: str, error: Exception) -> None:
        self.reason = _reason(error)
        remedy = "start it with `ringback up`, or name the server with --url"
        if isinstance(error, TimeoutError):
            remedy = "it is slow or starting: try again, or ask `ringback doctor`"
        super().__init__(f"cannot reach {url} ({self.reason}): {remedy}", Exit.UNREACHABLE)


class NotFoundError(CommandError):
    """The server does not have what a call is about."""


def path(*segments: str) -> str:
    """Build a path; each segment is percent-encoded completely, so that an id may hold a slash."""
    return "/" + "/".join(quote(segment, safe="", errors="surrogateescape") for segment in segments)


def job_path(source: str, job_id: str, *more: str) -> str:
    """The path of a job, or of what belongs to it."""
    return path("v1", "jobs", source, job_id, *more)


class Stream:
    """An open event stream."""

    def __init__(self, url: str, response: Response, after: str | None) -> None:
        """The response is closed when the stream ends."""
        self._url, self._response, self._reader = url, response, sse.Reader(response, after)

    @property
    def last_id(self) -> str | None:
        """The id after which to resume; an id may come without a message."""
        return self._reader.last_id

    def report(self, passed: Callable[[str | None], None]) -> None:
        """Have each id reported once its message was handled."""
        self._reader.passed = passed

    def __iter__(self) -> Iterator[sse.Message]:
        """The messages until the stream ends; UnreachableError if it breaks."""
        with self._response:
            try:
                yield from self._reader
            except OSError as error:
                raise UnreachableError(self._url, error) from error


class RawAnswer:
    """An open response, whose body is passed on as it is."""

    def __init__(self, client: "Client", answer: Response) -> None:
        self._client, self._answer = client, answer

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of events."""
        return self._answer.headers.get("content-type", "").startswith("text/event-stream")

    def body(self, ours: str) -> bytes:
        """The whole body; CommandError for an error, unless its JSON has the field `ours`."""
        return self._client.read_raw(self._answer, ours)

    def lines(self) -> Iterator[bytes]:
        """The lines as they come; UnreachableError if the response breaks."""
        try:
            yield from self._answer
        except OSError as error:
            raise UnreachableError(self._client.url, error) from error

    def abort(self) -> None:
        """End it; another thread may be reading."""
        self._answer.abort()


class Client:
    """Calls one server with one key."""

    def __init__(self, url: str, key: str | None = None, timeout: float = RESPONSE_TIMEOUT) -> None:
        """CommandError if the URL is not valid."""
        self.url, self.timeout = url, timeout
        self._scheme, self._host, self._port, self._prefix = _address(url)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def within(self, seconds: float) -> "Client":
        """The same client with another time for an answer."""
        other = copy(self)
        other.timeout = seconds
        return other

    def call(self, method: str, path: str, body: object = None, **params: object) -> Any:
        """Call the API, without params that are None; returns the decoded answer, None if empty."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else _encoded(body)
        with self._send(method, _target(path, params), content, headers) as answer:
            return self._read(answer)

    def get(self, path: str, **params: object) -> Any:
        """Call with GET."""
        return self.call("GET", path, **params)

    def stream(self, path: str, after: str | None = None, **params: object) -> Stream:
        """Open an event stream, after an event id if given."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        answer = self._send("GET", _target(path, params), None, headers, STREAM_TIMEOUT)
        if answer.status >= MULTIPLE_CHOICES:
            with answer:
                self._read(answer)
        return Stream(self.url, answer, after)

    @contextmanager
    def post_raw(
        self, path: str, content: bytes, headers: Mapping[str, str]
    ) -> Iterator[RawAnswer]:
        """POST JSON as it is; the response is open until the end of the context."""
        accept = {"Accept": "application/json, text/event-stream"}
        headers = {**accept, "Content-Type": "application/json", **headers}
        with self._send("POST", path, content, headers) as answer:
            yield RawAnswer(self, answer)

    def read_raw(self, answer: Response, ours: str) -> bytes:
        """A body; CommandError for an error, unless its JSON has the field `ours`."""
        raw = self._body(answer)
        if answer.status >= MULTIPLE_CHOICES and ours.encode() not in raw:
            self._refuse(answer.status, raw)
        return raw

    def _send(
        self,
        method: str,
        target: str,
        content: bytes | None,
        headers: Mapping[str, str],
        timeout: float | None = None,
    ) -> Response:
        """Send a request; `timeout` is in seconds."""
        address = (self._scheme, self._host, self._port)
        fields = {**headers, **self._headers}
        try:
            return http_request.send(
                *address, method, self._prefix + target, fields, content, timeout or self.timeout
            )
        except OSError as error:
            raise UnreachableError(self.url, error) from error
        except ValueError:
            raise CommandError("--key or --after: only printable ASCII can be sent") from None

    def _body(self, answer: Response) -> bytes:
        try:
            return answer.read()
        except OSError as error:
            raise UnreachableError(self.url, error) from error

    def _read(self, answer: Response) -> Any:
        raw = self._body(answer)
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
        error = NotFoundError if status == NOT_FOUND else CommandError
        raise error(_error_message(self.url, status, raw), code_of_status(status))


def _address(url: str) -> tuple[str, str, int | None, str]:
    """Split a server's URL into scheme, host, port and path prefix."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if (
            parts.scheme in DEFAULT_PORTS
            and parts.hostname
            and url.isprintable()
            and " " not in url
        ):
            host = parts.hostname
            name = host if host.isascii() else host.encode("idna").decode()
            return parts.scheme, name, parts.port, parts.path.rstrip("/")
    except ValueError:
        pass  # an invalid port, name or bracket: the error is below
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
