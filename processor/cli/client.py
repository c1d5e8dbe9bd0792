"""The one HTTP client of the command line; every answer is JSON or one line that says what is wrong.

Standard library on purpose: no proxy from the environment and no redirect comes between
the key and the server that it is for.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from processor.cli import sse
from processor.cli.credentials import REMEDY
from processor.cli.exit_codes import CommandError, Exit, of_status

ANSWER = 75.0  # seconds; the longest wait of the API is 60
SILENCE = 45.0  # seconds without even a ping: the stream is dead
MULTIPLE, UNAUTHORIZED = 300, 401
SCHEMES: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}


class RefusedError(CommandError):
    """The server refused the call; the line is its own `title: detail`."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status for those who expect it."""
        super().__init__(message, of_status(status))
        self.status = status


class UnreachableError(CommandError):
    """Nobody answers there."""

    def __init__(self, url: str, reason: object) -> None:
        """Name the URL and the remedy."""
        super().__init__(
            f"cannot reach {url} ({reason}): start it with `ringback up`, or name the server with --url",
            Exit.UNREACHABLE,
        )


def path(*segments: str) -> str:
    """Build a path; each segment is percent-encoded whole, so that an id may hold a slash."""
    return "/" + "/".join(quote(segment, safe="", errors="surrogateescape") for segment in segments)


class Stream:
    """An open stream: its messages until it ends."""

    def __init__(self, url: str, opened: ExitStack, reader: sse.Reader) -> None:
        """Take what was opened: the reader, and what to close after it."""
        self._url, self._opened, self._reader = url, opened, reader

    @property
    def last_id(self) -> str | None:
        """Where to go on from, when this one has ended: an id may come without a message."""
        return self._reader.last_id

    def __iter__(self) -> Iterator[sse.Message]:
        """Give the messages; raises UnreachableError when the stream breaks."""
        with self._opened:
            try:
                yield from self._reader
            except (OSError, http.client.HTTPException) as error:
                raise UnreachableError(self._url, _reason(error)) from error


class Client:
    """Calls one server with one key."""

    def __init__(self, url: str, key: str | None = None, timeout: float = ANSWER) -> None:
        """Refuse a URL that names no server."""
        self.url, self._timeout = url, timeout
        self._scheme, self._host, self._port, self._prefix = _address(url)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call(self, method: str, path: str, body: object = None, **params: object) -> Any:
        """Call and give the decoded answer, None for an empty one. Parameters of None are left out."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else _encoded(body)
        with (
            closing(self._connect(self._timeout)) as connection,
            self._ask(connection, method, _target(path, params), content, headers) as answer,
        ):
            return self._read(answer)

    def get(self, path: str, **params: object) -> Any:
        """Call with GET."""
        return self.call("GET", path, **params)

    def stream(self, path: str, after: str | None = None) -> Stream:
        """Open a stream behind an id."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        with ExitStack() as opened:
            connection = opened.enter_context(closing(self._connect(SILENCE)))
            answer = opened.enter_context(self._ask(connection, "GET", path, None, headers))
            if answer.status >= MULTIPLE:
                self._read(answer)
            return Stream(self.url, opened.pop_all(), sse.Reader(answer, after))

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        return SCHEMES[self._scheme](self._host, self._port, timeout=timeout)

    def _ask(
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
            raise UnreachableError(self.url, _reason(error)) from error
        except ValueError:
            raise CommandError("--key: only printable ASCII can be sent as a key") from None

    def _read(self, answer: http.client.HTTPResponse) -> Any:
        try:
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self.url, _reason(error)) from error
        if answer.status >= MULTIPLE:
            told = _complaint(self.url, answer.status, raw)
            remedy = f": {REMEDY}" if answer.status == UNAUTHORIZED else ""
            raise RefusedError(answer.status, told + remedy)
        try:
            return json.loads(raw) if raw else None
        except ValueError:
            raise CommandError(
                f"{self.url} answers, but not in JSON: is it Ringback?", Exit.UNREACHABLE
            ) from None


def _address(url: str) -> tuple[str, str, int | None, str]:
    """Take a server's URL apart: scheme, host, port, path before ours."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme in SCHEMES and parts.hostname and url.isprintable() and " " not in url:
            return parts.scheme, parts.hostname, parts.port, parts.path.rstrip("/")
    except ValueError:
        pass  # a port that is no port, an unclosed bracket: told below
    raise CommandError(f"--url {url}: names no server; write it like http://127.0.0.1:8080")


def _target(path: str, params: Mapping[str, object]) -> str:
    given = {name: value for name, value in params.items() if value is not None}
    query = urlencode(given, errors="surrogateescape")  # bytes of the command line, as they are
    return f"{path}?{query}" if query else path


def _encoded(body: object) -> bytes:
    """JSON with the bytes of the command line as they are, whatever the locale took them for."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _complaint(url: str, status: int, raw: bytes) -> str:
    """Give `title: detail` of a problem document, or what /readyz lacks, or just the status."""
    try:
        told = json.loads(raw)
        if "lacks" in told:
            return "Not ready: " + "; ".join(told["lacks"])
        return f"{told['title']}: {told['detail']}"
    except (ValueError, TypeError, KeyError):
        return f"{url} answered {status} without saying why: is it Ringback?"
