"""The pushes of a play: signed when they are sent, and tried again where nobody took them."""

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
from processor.cli.simulate.progress import Stage
from processor.model import Push
from processor.simulation import Due, Job

TRIES = 5
PAUSE = 1.0  # seconds until the next try
PATIENCE = 10.0  # seconds for an answer
LONGEST = 64 * 1024  # bytes of an answer that are read
LANES = 8  # jobs that push at the same time; one job's pushes follow each other

_SCHEMES = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class Told(NamedTuple):
    """How a push was answered."""

    status: int | None
    said: str = ""  # title and detail of a problem document


class Target:
    """The hook that is pushed to."""

    def __init__(self, url: str) -> None:
        """Take its URL; CommandError if it is none."""
        parts = _parts(url)
        if parts is None or not url.isascii():
            raise CommandError(f"--to {url}: write http://127.0.0.1:8080/hooks/NAME")
        self._connect, self._host = _SCHEMES[parts.scheme], parts.netloc
        self._path, self._query = parts.path or "/", parts.query

    def send(self, push: Push) -> Told:
        """Push; gives the status, None where nobody answered, and what was said."""
        query = "&".join(filter(None, (self._query, push.query)))
        target = f"{self._path}?{query}" if query else self._path
        try:
            with closing(self._connect(self._host, timeout=PATIENCE)) as connection:
                headers = {name: value.encode() for name, value in push.headers.items()}
                connection.request("POST", target, push.body, headers)
                answer = connection.getresponse()
                return Told(answer.status, _said(answer.read(LONGEST)))
        except (OSError, http.client.HTTPException):
            return Told(None)


def _said(body: bytes) -> str:
    """What a problem document says (RFC 9457); nothing for other bodies."""
    try:
        told = json.loads(body)
        return ": ".join(str(told[name]) for name in ("title", "detail") if told.get(name))
    except (ValueError, AttributeError, RecursionError):
        return ""


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # brackets, or a port, that are none
        return None
    return parts if good else None


class _Try(NamedTuple):
    """A push that is due at this time, for the so manieth time; compares by time."""

    at: float
    due: Due
    tries: int = 0


class Sender:
    """Sends the pushes of a plan, each job's one after the other."""

    def __init__(self, target: Target, secret: str, jobs: Sequence[Job], stage: Stage) -> None:
        """Nothing is sent yet."""
        self._target, self._secret = target, secret
        self._jobs, self._stage = jobs, stage
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, pushes: Sequence[Due]) -> None:
        """Send them from threads of their own."""
        lanes = [[due for due in pushes if due.job % LANES == lane] for lane in range(LANES)]
        self._threads = [
            threading.Thread(target=self._play, args=(lane,), daemon=True) for lane in lanes if lane
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether there is anything left to send."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Send no more; an answer that is slow to come is not waited for."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PAUSE)

    def _play(self, pushes: Sequence[Due]) -> None:
        waiting = [_Try(self._begun(due) + due.at, due) for due in pushes]
        heapq.heapify(waiting)
        while waiting:
            one = heapq.heappop(waiting)
            if self._stop.wait(max(0.0, one.at - time.time())):
                return
            if not one.tries:
                self._stage.send(again=one.due.again)
            if self._send(one.due):
                continue
            if one.tries + 1 < TRIES:
                heapq.heappush(waiting, _Try(time.time() + PAUSE, one.due, one.tries + 1))
            else:
                self._stage.give_up()

    def _send(self, due: Due) -> bool:
        """Push; says whether somebody took or refused it."""
        push = self._jobs[due.job].push(due.number, self._begun(due))
        status, said = self._target.send(push.signed(self._secret, time.time()))
        self._stage.count(self._stage.pushes, status)
        if status is not None and 300 <= status < 500:  # noqa: PLR2004 - HTTP's own lines
            self._stage.refuse(f"{status}: {said or 'without a reason; see the log there'}")
        return status is not None and status < 500  # noqa: PLR2004 - HTTP's own line

    def _begun(self, due: Due) -> float:
        return self._stage.begun[self._jobs[due.job].id]
