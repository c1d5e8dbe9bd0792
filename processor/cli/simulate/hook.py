"""The URL that simulated pushes are sent to."""

import http.client
import json
from contextlib import closing
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from processor.cli.exit_codes import CommandError
from processor.model import Push

RESPONSE_TIMEOUT = 10.0  # seconds
MAX_RESPONSE_BYTES = 64 * 1024  # that are read

_SCHEMES = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class PushResponse(NamedTuple):
    """How a push was answered; `status` is None if there was no answer."""

    status: int | None
    reason: str = ""  # title and detail of a problem document


class Hook:
    """The URL that is pushed to."""

    def __init__(self, url: str) -> None:
        """CommandError if the URL is not valid, or has no path."""
        parts = _parts(url)
        if parts is None or not url.isascii():
            raise CommandError(f"--to {url}: write http://127.0.0.1:8080/hooks/NAME")
        if parts.path in {"", "/"}:  # of Ringback itself, where a push is a call without a key
            raise CommandError(f"--to {url}: the path of the source is missing: add /hooks/NAME")
        self._connect, self._host = _SCHEMES[parts.scheme], parts.netloc
        self._path, self._query = parts.path, parts.query

    def send(self, push: Push) -> PushResponse:
        """Send a push and read the answer."""
        query = "&".join(filter(None, (self._query, push.query)))
        target = f"{self._path}?{query}" if query else self._path
        try:
            with closing(self._connect(self._host, timeout=RESPONSE_TIMEOUT)) as connection:
                headers = {name: value.encode() for name, value in push.headers.items()}
                connection.request("POST", target, push.body, headers)
                answer = connection.getresponse()
                return PushResponse(answer.status, _reason(answer.read(MAX_RESPONSE_BYTES)))
        except (OSError, http.client.HTTPException):
            return PushResponse(None)


def _reason(body: bytes) -> str:
    """Title and detail of a problem document (RFC 9457); empty for other bodies."""
    try:
        problem = json.loads(body)
        return ": ".join(str(problem[name]) for name in ("title", "detail") if problem.get(name))
    except (ValueError, AttributeError, RecursionError):
        return ""


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # invalid brackets or port
        return None
    return parts if valid else None
