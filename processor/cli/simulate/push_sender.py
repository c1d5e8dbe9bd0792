"""Sends a run's pushes: signs each when it is sent, and retries when no server accepts it."""

import heapq
import http.client
import json
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from processor.cli.exit_codes import CommandError
from processor.cli.simulate.progress import Run
from processor.model import Push
from processor.simulation import PlannedPush

MAX_ATTEMPTS = 5
RETRY_PAUSE = 1.0  # seconds before the next attempt
RESPONSE_TIMEOUT = 10.0  # seconds
MAX_RESPONSE_BYTES = 64 * 1024  # that are read
MAX_THREADS = 8  # jobs that push at the same time; the pushes of one job are sent in order

_SCHEMES = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class PushResponse(NamedTuple):
    """How a push was answered; `status` is None if there was no answer."""

    status: int | None
    reason: str = ""  # title and detail of a problem document


class Hook:
    """The URL that is pushed to."""

    def __init__(self, url: str) -> None:
        """CommandError if the URL is not valid."""
        parts = _parts(url)
        if parts is None or not url.isascii():
            raise CommandError(f"--to {url}: write http://127.0.0.1:8080/hooks/NAME")
        self._connect, self._host = _SCHEMES[parts.scheme], parts.netloc
        self._path, self._query = parts.path or "/", parts.query

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


class _Attempt(NamedTuple):
    """A push that is due at this time, and how many attempts were made; compares by time."""

    at: float
    due: PlannedPush
    made: int = 0


class PushSender:
    """Sends the pushes of a plan from threads, those of each job in order."""

    def __init__(self, hook: Hook, secret: str, run: Run) -> None:
        self._hook, self._secret, self._run = hook, secret, run
        self._jobs = list(run.jobs.values())
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, pushes: Sequence[PlannedPush]) -> None:
        """Start the threads that send these pushes."""
        groups = [[due for due in pushes if due.job % MAX_THREADS == n] for n in range(MAX_THREADS)]
        self._threads = [
            threading.Thread(target=self._send_all, args=(group,), daemon=True)
            for group in groups
            if group
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether any push is still to be sent."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Send no more pushes; does not wait for a slow answer."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(RETRY_PAUSE)

    def _send_all(self, pushes: Sequence[PlannedPush]) -> None:
        waiting = [_Attempt(self._begun(due) + due.at, due) for due in pushes]
        heapq.heapify(waiting)
        while waiting:
            at, due, made = heapq.heappop(waiting)
            if self._stopped.wait(max(0.0, at - time.time())):
                return
            if not made:
                self._run.note_sent(duplicate=due.again)
            if self._send(due):
                continue
            if made + 1 < MAX_ATTEMPTS:
                heapq.heappush(waiting, _Attempt(time.time() + RETRY_PAUSE, due, made + 1))
            else:
                self._run.note_given_up()

    def _send(self, due: PlannedPush) -> bool:
        """Send a push; False if it must be retried."""
        push = self._jobs[due.job].push(due.number, self._begun(due))
        status, reason = self._hook.send(push.signed(self._secret, time.time()))
        self._run.count(self._run.pushes, status)
        if status is not None and 300 <= status < 500:  # noqa: PLR2004 - HTTP's own limits
            self._run.note_refusal(f"{status}: {reason or 'no reason given; see the log there'}")
        return status is not None and status < 500  # noqa: PLR2004 - HTTP's own limit

    def _begun(self, due: PlannedPush) -> float:
        return self._run.begun[self._jobs[due.job].id]
