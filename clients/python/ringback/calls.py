"""What each call of the clients does, once for both: generators that yield what is to be done.

A client sends each `Request` and returns the answer into the generator, or waits for a `Pause`.
"""

import json
import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx

from ringback.errors import EventsTrimmed, RingbackError, Timeout, Unavailable, error_of
from ringback.event_stream import Message
from ringback.model import Event, Group, Job, Subscription

MAX_WAIT = 60.0  # seconds that the server holds one call
ANSWER_WITHIN = 15.0  # seconds, beyond what the server holds
LATE_BY = 5.0  # seconds by which the last answer may be late once the time to wait is over
TRY_FOR = 30.0  # seconds for which a call that may be repeated is tried again
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between tries
OK = 300  # the first status code that is not a success
UNAVAILABLE = {502, 503, 504}  # the server, or a proxy whose server is away
CUT = (httpx.ReadError, httpx.RemoteProtocolError)  # the server was there, and went
_DOTS = {".": "%2E", "..": "%2E%2E"}  # as they are, they would lead to another path

Value = TypeVar("Value")


class Request(NamedTuple):
    """A request to send."""

    method: str
    path: str
    params: Mapping[str, Any] | Sequence[tuple[str, str]] = {}
    body: Any = None
    timeout: float = ANSWER_WITHIN  # seconds


class Pause(NamedTuple):
    """A time to wait, in seconds."""

    seconds: float


Flow = Generator[Request | Pause, Any, Value]
"""What a client does until the value is there."""


class Away(NamedTuple):
    """A try that no server answered, or that was refused for now."""

    failure: RingbackError
    retry_after: float = 0.0  # seconds
    held: float = 0.0  # seconds for which the server was there, until it cut the connection


class Patience:
    """How long to wait for a server that is away: ever longer, until `TRY_FOR` is over."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """The server is there: its time to be away begins with the next failure."""
        self._until: float | None = None
        self._pause = FIRST_PAUSE

    def pause(self, away: Away | None = None, most: float = math.inf) -> float:
        """Seconds to wait now; the failure is raised if the server's time is over by then."""
        seconds = min(self._pause, most)
        if away:
            seconds = min(max(self._pause, away.retry_after), most)
            now = time.monotonic()
            self._until = now + TRY_FOR if self._until is None else self._until + away.held
            if now + seconds > self._until:
                raise away.failure
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return seconds


def send(request: Request, *, again: bool | None = None) -> Flow[Any]:
    """Send a request; its document. GET and PUT (or `again`) are tried again while the server is away."""
    may_repeat = request.method in {"GET", "PUT"} if again is None else again
    patience = Patience()
    while True:
        answer = yield from _try(request)
        if not isinstance(answer, Away):
            return answer
        if not may_repeat:
            raise answer.failure
        yield Pause(patience.pause(answer))


def _try(request: Request) -> Flow[Any]:
    """Send a request once; its document, or an `Away`."""
    began = time.monotonic()
    try:
        response: httpx.Response = yield request
    except httpx.RequestError as error:
        held = time.monotonic() - began if isinstance(error, CUT) else 0.0
        return Away(unanswered(f"{request.method} {request.path}", error), held=held)
    return _document(response) if response.status_code < OK else away_by(response)


def away_by(response: httpx.Response) -> Away:
    """What an answer that is not the one asked for means: another try later, else its error is raised."""
    error = refusal(response)
    if response.status_code not in UNAVAILABLE:
        raise error
    return Away(error, _retry_after(response))


def unanswered(call: str, error: Exception) -> Unavailable:
    """The error of a call that has no answer."""
    return Unavailable(f"{call}: {str(error) or type(error).__name__}")


def _hold(
    request: Callable[[float], Request],
    timeout: float | None,
    done: Callable[[Any], bool],
    over: Callable[[Any], Timeout],
) -> Flow[Any]:
    """Send a request that the server holds, for these seconds, until its document is `done`.

    When the time is over, the error is `over` of the last document, or of None without one.
    """
    left = _time_left(timeout)
    patience, known = Patience(), None
    while True:
        seconds = min(MAX_WAIT, left())
        within = min(seconds + ANSWER_WITHIN, left() + LATE_BY)
        answer = yield from _try(request(seconds)._replace(timeout=within))
        away = answer if isinstance(answer, Away) else None
        if not away:
            patience.renew()
            known = answer
            if done(known):
                return known
        if left() <= 0:
            raise over(known) from (away.failure if away else None)
        if away:
            yield Pause(patience.pause(away, left()))


def _document(response: httpx.Response) -> Any:
    document = _json(response)
    if not isinstance(document, dict):
        raise refusal(response)
    return document


def refusal(response: httpx.Response) -> RingbackError:
    """The error of an answer that is no success, or not ours; its body was read."""
    if response.status_code < OK:
        detail = f"{response.url} answered as no Ringback does: is it one?"
        return RingbackError(detail, status=response.status_code)
    return error_of(response.status_code, _json(response), response.text)


def is_stream(response: httpx.Response) -> bool:
    """Whether an answer is a stream of events."""
    kind: str = response.headers.get("content-type", "")
    return response.status_code < OK and kind.startswith("text/event-stream")


def _json(response: httpx.Response) -> Any:
    """The document of an answer; None if it is not JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(float(response.headers.get("retry-after", 0)), LONGEST_PAUSE)
    except ValueError:
        return 0.0


def path(*segments: str) -> str:
    """A path of the API; each segment is percent-encoded as a whole: an id may hold a slash."""
    return "/v1/" + "/".join(_DOTS.get(part) or quote(part, safe="") for part in segments)


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def watch(source: str, job: str, **fields: Any) -> Flow[Job]:
    """PUT a job."""
    answer = yield from send(Request("PUT", path("jobs", source, job), body=given(**fields)))
    return Job.read(answer)


def get(source: str, job: str) -> Flow[Job]:
    """A job as it is."""
    return Job.read((yield from send(Request("GET", path("jobs", source, job)))))


def wait(source: str, job: str, timeout: float | None) -> Flow[Job]:
    """A job once it has finished; Timeout after so many seconds."""
    target = path("jobs", source, job)

    def over(known: Any) -> Timeout:
        jobs = () if known is None else (Job.read(known),)
        state = f"is {jobs[0].state}" if jobs else "is not known"
        return Timeout(f"{source}/{job} {state} after {timeout:g} s", jobs=jobs)

    done = yield from _hold(_held_get(target), timeout, lambda job: Job.read(job).finished, over)
    return Job.read(done)


def wait_many(jobs: Sequence[str], mode: str, timeout: float | None) -> Flow[list[Job]]:
    """Jobs (`source/id`), in this order, once all (or any) have finished."""
    names = list(jobs)

    def request(seconds: float) -> Request:
        body = {"jobs": names, "mode": mode, "timeout": round(seconds, 3)}
        return Request("POST", path("wait"), {}, body)

    def over(known: Any) -> Timeout:
        found = tuple(Job.read(job) for job in known["jobs"]) if known else ()
        return Timeout(f"{mode} of {len(names)} jobs: not after {timeout:g} s", jobs=found)

    answer = yield from _hold(request, timeout, lambda answer: bool(answer["done"]), over)
    return [Job.read(job) for job in answer["jobs"]]


def history(source: str, job: str) -> Flow[list[Mapping[str, Any]]]:
    """What happened to a job, oldest first."""
    entries: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        params = given(limit=200, cursor=cursor)
        page = yield from send(Request("GET", path("jobs", source, job, "history"), params))
        entries += page["items"]
        cursor = page["next"]
        if cursor is None:
            return entries


def page_of_jobs(
    params: Mapping[str, Any], cursor: str | None
) -> Flow[tuple[list[Job], str | None]]:
    """One page of the list of jobs, and the cursor of the next."""
    page = yield from send(Request("GET", path("jobs"), given(**params, cursor=cursor)))
    return [Job.read(job) for job in page["items"]], page["next"]


def group(**fields: Any) -> Flow[Group]:
    """Create a group; with an id the call may be repeated."""
    body = given(**fields)
    request = Request("POST", path("groups"), body=body, timeout=MAX_WAIT)
    return Group.read((yield from send(request, again="id" in body)))


def wait_group(name: str, timeout: float | None) -> Flow[Group]:
    """A group once it has ended; Timeout after so many seconds."""
    target = path("groups", name)

    def over(known: Any) -> Timeout:
        group = None if known is None else Group.read(known)
        state = "is still running" if group else "is not known"
        return Timeout(f"group {name} {state} after {timeout:g} s", group=group)

    done = yield from _hold(_held_get(target), timeout, lambda it: Group.read(it).finished, over)
    return Group.read(done)


def subscribe(url: str, **fields: Any) -> Flow[Subscription]:
    """Create a subscription."""
    request = Request("POST", path("subscriptions"), body=given(url=url, **fields))
    return Subscription.read((yield from send(request)))


def selected(types: Iterable[str] | None) -> list[str]:
    """The types of events that the server is to send; all without any."""
    if isinstance(types, str):
        raise TypeError(f"types: it is a list, as in [{types!r}]")
    return list(types or ())


def event_of(message: Message, cursor: str | None) -> Event:
    """The event of a message of the stream; EventsTrimmed at a gap."""
    if message.event == "gap":
        raise EventsTrimmed("the log begins after the cursor: read the jobs, then follow from now")
    document = json.loads(message.data)
    return Event.read(document, document["id"], cursor)


def _held_get(target: str) -> Callable[[float], Request]:
    """A function of a GET that the server holds for so many seconds."""
    return lambda seconds: Request("GET", target, {"wait": f"{seconds:.3f}"})


def _time_left(timeout: float | None) -> Callable[[], float]:
    """A function of the seconds that are left."""
    until = math.inf if timeout is None else time.monotonic() + timeout
    return lambda: max(0.0, until - time.monotonic())
