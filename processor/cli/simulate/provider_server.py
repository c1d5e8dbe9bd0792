"""The simulated provider's HTTP server: answers polls of jobs, lists of them and cancel calls on a
loopback port, as each job proceeds.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from processor.cli.exit_codes import CommandError
from processor.cli.loopback_server import Handler, LoopbackServer
from processor.cli.simulate.poll_routes import SUBMIT_PATH, ListQuery, Routes, base_path
from processor.cli.simulate.progress import Run
from processor.model import HttpResponse
from processor.provider import Profile
from processor.simulation import SimulatedJob, write_list_response
from processor.simulation.poll_response import BODILESS

JSON = "application/json"
OK, NOT_MODIFIED = 200, 304
RETRY_AFTER = "1"  # seconds, as text
PAGE = 100  # jobs in a list, if the profile does not say


@dataclass(frozen=True)
class PollFaults:
    """How many seconds each poll waits for its answer, and which share of polls gets 429."""

    latency: float = 0.0
    throttle: float = 0.0
    rng: Random = field(default_factory=Random)


class PollAnswer(NamedTuple):
    """An answer to a poll, and the jobs whose end it shows."""

    answer: HttpResponse
    ended: tuple[SimulatedJob, ...] = ()


class ProviderServer(LoopbackServer):
    """Answers polls about the jobs of a run, which are of one kind, and POST /submit."""

    def __init__(
        self, port: int, profile: Profile, kind: str | None, faults: PollFaults | None = None
    ) -> None:
        """`run` may be set later, before it is `serving`."""
        try:
            super().__init__(port, _Handler)
        except OSError as error:
            raise CommandError(
                f"cannot listen on port {port} ({error.strerror}): give another --port"
            ) from None
        self.url = self.base + base_path(profile)
        self._profile, self._kind, self._rules = profile, kind, profile.polls(kind)
        self._routes = Routes(profile, kind)
        self._faults = faults or PollFaults()
        self.run = Run(())

    def poll(self, target: str, headers: Mapping[str, str]) -> PollAnswer:
        """Answer one poll."""
        time.sleep(self._faults.latency)
        answer, ended = self._answer(target, time.time())
        if self._rules and self._rules.etag and answer.status == OK:
            answer = _tagged(answer, headers.get("if-none-match"))
        self.run.count(self.run.polls, answer.status)
        return PollAnswer(answer, ended)

    def submit(self) -> HttpResponse:
        """Begin the next job."""
        now = time.time()
        job = self.run.begin_next(now)
        return job.submitted(now) if job else _problem(409, "every job of this run has begun")

    def _answer(self, target: str, now: float) -> PollAnswer:
        query = self._routes.list_query(target)
        job = self.run.jobs.get(self._routes.job_id(target) or "")
        if job is None and query is None:
            return PollAnswer(_problem(404, "no such job in this run"))
        if self._faults.rng.random() < self._faults.throttle:
            return PollAnswer(_problem(429, "too many polls", {"retry-after": RETRY_AFTER}))
        return self._of_job(job, now) if job else self._of_list(query or ListQuery(), now)

    def _of_job(self, job: SimulatedJob, now: float) -> PollAnswer:
        begun = self.run.begin(job, now)
        answer = job.answer(now - begun, begun) or _problem(404, "not there yet")
        return PollAnswer(answer, (job,) if job.is_over(now - begun) else ())

    def _of_list(self, query: ListQuery, now: float) -> PollAnswer:
        """The jobs that a request names, or a page of all. If an element is not all that a poll of
        its job returns, the end is yet to be polled.
        """
        rules = self._rules and self._rules.list
        jobs = [self.run.jobs[name] for name in query.ids if name in self.run.jobs]
        if rules and not query.ids:
            size, found = rules.most or PAGE, self.run.listed(now)
            names = [job.id for job in found]
            after = names.index(query.last) + 1 if query.last in names else 0
            start = after + (query.page - 1) * size
            jobs = found[start : start + size]
        answers = [self._of_job(job, now) for job in jobs]
        bodies = [answer for answer, _ in answers if answer.status == OK]
        ended = tuple(job for _, over in answers for job in over) if rules and rules.whole else ()
        return PollAnswer(write_list_response(self._profile, self._kind, bodies), ended)

    def cancel(self, method: str, target: str) -> HttpResponse:
        """Cancel a job, if this is the profile's call."""
        now, job_id = time.time(), self._routes.canceled_id(method, target)
        try:
            job = self.run.cancel(job_id, now) if job_id else None
        except ValueError as error:
            return _problem(409, str(error))
        if job is None:
            return _problem(404, f"POST {SUBMIT_PATH} begins a job")
        return self._of_job(job, now).answer


def _tagged(answer: HttpResponse, known: str | None) -> HttpResponse:
    """The answer with its ETag, or 304 if the client has it already."""
    tag = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    tagged = replace(answer, headers={**answer.headers, "etag": tag})
    return replace(tagged, status=NOT_MODIFIED, body=b"") if known == tag else tagged


def _problem(status: int, text: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    body = json.dumps({"message": text}).encode()
    return HttpResponse(status, {"content-type": JSON, **(headers or {})}, body, 0.0)


class _Handler(Handler):
    server: ProviderServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # noqa: N802 - the base's name
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer, ended = self.server.poll(self.path, headers)
        self._send(answer)
        for job in ended:  # only after the answer is sent: the process may end at once
            self.server.run.note_end_polled(job)

    def do_POST(self) -> None:  # noqa: N802 - the base's name
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST" and self.path == SUBMIT_PATH:
            self._send(self.server.submit())
        else:
            self._send(self.server.cancel(self.command, self.path))

    do_PUT = do_DELETE = do_POST  # noqa: N815 - the base's names

    def _send(self, answer: HttpResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in BODILESS:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()
