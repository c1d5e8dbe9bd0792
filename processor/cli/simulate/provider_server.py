"""The simulated provider: it answers polls on a loopback port with what a job has come to."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, NamedTuple

from processor.cli.exit_codes import CommandError
from processor.cli.simulate.poll_routes import SUBMIT, Routes, root
from processor.cli.simulate.progress import Stage
from processor.model import Answer
from processor.provider import Profile
from processor.simulation import Job
from processor.simulation.poll_response import BODILESS

JSON = "application/json"
OK, NOT_MODIFIED = 200, 304
RETRY_AFTER = "1"  # seconds, as text
MOST_WAITING = 128  # connections that are not accepted yet


@dataclass(frozen=True)
class Habits:
    """How the provider answers: after how many seconds, and which share with 429."""

    latency: float = 0.0
    throttle: float = 0.0
    rng: Random = field(default_factory=Random)


class Polled(NamedTuple):
    """An answer to a poll, and the job whose end it tells, if it does."""

    answer: Answer
    ended: Job | None = None


class Provider(ThreadingHTTPServer):
    """Answers polls about the jobs of one kind, and POST /submit."""

    daemon_threads = True
    request_queue_size = MOST_WAITING

    def __init__(self, port: int, profile: Profile, kind: str | None, habits: Habits) -> None:
        """Listen; answers once it is `serving`."""
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise CommandError(
                f"cannot listen on port {port} ({error.strerror}): give another --port"
            ) from None
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.url = self.base + root(profile)
        self._etag = bool((poll := profile.polls(kind)) and poll.etag)
        self._routes = Routes(profile, kind)
        self._habits = habits
        self._stage = Stage(())

    @contextmanager
    def serving(self, stage: Stage) -> Iterator[None]:
        """Answer from a thread while the block runs."""
        self._stage = stage
        thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()
            thread.join()

    def poll(self, target: str, headers: Mapping[str, str]) -> Polled:
        """Answer one poll."""
        time.sleep(self._habits.latency)
        answer, ended = self._polled(target, time.time())
        if self._etag and answer.status == OK:
            answer = _tagged(answer, headers.get("if-none-match"))
        self._stage.count(self._stage.polls, answer.status)
        return Polled(answer, ended)

    def told(self, ended: Job) -> None:
        """Note that somebody has heard of a job's end; the last one ends the play."""
        self._stage.tell(ended)

    def submit(self) -> Answer:
        """Begin the next job."""
        now = time.time()
        job = self._stage.begin_next(now)
        return job.submitted(now) if job else _problem(409, "every job of this play has begun")

    def _polled(self, target: str, now: float) -> Polled:
        job = self._stage.jobs.get(self._routes.id_in(target) or "")
        if job is None:
            return Polled(_problem(404, "no such job in this play"))
        if self._habits.rng.random() < self._habits.throttle:
            return Polled(_problem(429, "asked too often", {"retry-after": RETRY_AFTER}))
        begun = self._stage.begin(job, now)
        answer = job.answer(now - begun, begun) or _problem(404, "not there yet")
        return Polled(answer, job if job.is_over(now - begun) else None)


def _tagged(answer: Answer, known: str | None) -> Answer:
    """The answer with its ETag, or 304 to whoever has it already."""
    tag = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    headers = {**answer.headers, "etag": tag}
    if known == tag:
        return Answer(NOT_MODIFIED, headers, b"", 0.0)
    return Answer(answer.status, headers, answer.body, 0.0)


def _problem(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps({"message": text}).encode()
    return Answer(status, {"content-type": JSON, **(headers or {})}, body, 0.0)


class _Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer, ended = self.server.poll(self.path, headers)
        self._send(answer)
        if ended:  # and not before it is sent: the process may be over at once
            self.server.told(ended)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = self.path == SUBMIT
        self._send(self.server.submit() if known else _problem(404, f"POST {SUBMIT} begins a job"))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in BODILESS:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep quiet: what came is counted."""
