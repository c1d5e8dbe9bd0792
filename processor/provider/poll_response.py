"""Reads the response to a poll: a status update, or the reason why there is none."""

from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from processor.errors import Unreadable
from processor.http_time import parse_retry_after, parse_wait
from processor.model import SUCCESSES, HttpResponse, Origin, StatusUpdate
from processor.provider.condition import StatusField
from processor.provider.extract_update import UpdateContext, as_object, read_update
from processor.provider.job_ids import bare_id, full_id
from processor.provider.large_json import read_document
from processor.provider.pointer import CODE
from processor.provider.profile import PollRules, Profile
from processor.provider.rate_limit_headers import exhausted_for

PollFailureKind = Literal["gone", "missing", "throttled", "unauthorized", "outdated", "failed"]

HTML = frozenset({"text/html", "application/xhtml+xml"})
REDIRECTIONS = range(300, 400)
BEGINNING = 64  # bytes of a body that tell whether it is JSON
BEFORE_TEXT = b" \t\r\n\0\xef\xbb\xbf\xfe\xff"  # blanks and byte order marks, also those of UTF-16
QUOTED = 4096  # bytes of a body that a failure quotes: what shows it masks secrets, then cuts it


class PollFailure(msgspec.Struct, frozen=True):
    """A poll that returned no status.

    `gone`: the provider dropped the job. `missing`: it does not know the job (yet).
    `throttled`: poll this account later. `unauthorized`: the token is refused, for all jobs of the
    source. `outdated`: the token is refused, and another one is used from now on. `failed`: anything
    else. `retry_after` is in seconds, if the provider gave it. The reason quotes the body, which may
    repeat secrets.
    """

    kind: PollFailureKind
    reason: str
    retry_after: float | None = None


FAILURES: dict[int, PollFailureKind] = {
    401: "unauthorized",
    403: "unauthorized",
    404: "missing",
    410: "missing",
    429: "throttled",
}


def read_poll_response(  # noqa: PLR0917 - one fact about the poll each
    profile: Profile,
    source: str,
    kind: str | None,
    job: str,
    response: HttpResponse,
    asked_at: float,
) -> StatusUpdate | PollFailure:
    """Read the response to a poll of one job; hostile responses never raise.

    The update keeps the polled id; other ids in the response are aliases.
    """
    known, poll = profile.kinds.get(kind), profile.polls(kind)
    if known is None or poll is None:
        return PollFailure("failed", f"{profile.name} has no [poll] for this kind of job")
    headers = {**response.headers, CODE: str(response.status)}
    document, why_unreadable = read_body(response)
    wait = requested_wait(poll, document, response, asked_at + response.seconds)
    if refusal := refused(poll, document, headers, response, wait):
        return refusal
    if _code_suffices(poll.status, response):
        why_unreadable = ""
    context = UpdateContext(
        source=source,
        kind=kind,
        at=asked_at,
        origin=Origin.POLL,
        headers=headers,
        job=full_id(kind, bare_id(kind, job)),
        reopens=poll.reopens,
    )
    try:
        update = read_update(
            known, poll, update_document(poll, document, headers, why_unreadable), context
        )
    except Unreadable as error:
        shown = "" if response.cut else f": {as_line(response.body)}"
        return PollFailure("failed", f"HTTP {response.status}, but {error}{shown}")
    return update if wait is None else replace(update, poll_after=wait)


def refused(
    poll: PollRules,
    document: Any,
    headers: dict[str, str],
    response: HttpResponse,
    wait: float | None,
) -> PollFailure | None:
    """Why a response contains no status, as its HTTP code says; None if it contains one."""
    if poll.throttled and poll.throttled.holds(document, headers):
        return PollFailure("throttled", _http_error(response), wait)
    return None if response.status in poll.reads else _failure(poll, response, wait)


def read_cancel_response(
    profile: Profile, kind: str | None, response: HttpResponse, asked_at: float
) -> PollFailure | None:
    """Why the provider did not take a cancel call; None if it did."""
    poll = profile.polls(kind)
    if poll is None:
        return PollFailure("failed", f"{profile.name} has no [poll] for this kind of job")
    headers = {**response.headers, CODE: str(response.status)}
    document, _ = read_body(response)
    wait = requested_wait(poll, document, response, asked_at + response.seconds)
    if poll.throttled and poll.throttled.holds(document, headers):
        return PollFailure("throttled", _http_error(response), wait)
    return None if response.status in SUCCESSES else _failure(poll, response, wait)


def update_document(
    poll: PollRules, document: Any, headers: dict[str, str], why_unreadable: str
) -> Any:
    """The object that holds the update; any value or none, if the HTTP code may be the status."""
    if why_unreadable:
        raise Unreadable(why_unreadable)
    found = poll.root.find(document, headers)
    return found if poll.status.uses_http_code else as_object(found)


def read_body(response: HttpResponse) -> tuple[Any, str]:
    """The body as JSON, and why it cannot be read: it is cut, or not JSON; empty if it can."""
    if response.cut:
        return None, response.cut
    try:
        return read_document(response.body), ""
    except Unreadable as error:
        return None, str(error)


def _code_suffices(status: StatusField, response: HttpResponse) -> bool:
    """Whether the HTTP code may be the status of an answer without JSON.

    Such an answer is empty or of another type, unless no status is in the body anyway. A page of
    HTML is a proxy's, such as its login, except where it explains a redirection (RFC 9110, 15.4). If
    it is not whole, it must have begun as the result itself, such as a video of more than the limit.
    """
    if not status.uses_http_code:
        return False
    mime, is_page = _mime(response), is_html_page(response)
    is_other = bool(mime) and "json" not in mime
    if mime in HTML:
        is_other = not is_page and _begins_without_json(response.body)
    if response.cut:
        return response.status in SUCCESSES and is_other and _begins_without_json(response.body)
    if status.is_http_code or not response.body.strip():
        return True
    return response.status in REDIRECTIONS if is_page else is_other


def is_html_page(response: HttpResponse) -> bool:
    """Whether an answer is a page of HTML, as proxies send them: by its type, and because it begins
    with `<`. Frameworks also call a plain `Accepted` HTML.
    """
    return _mime(response) in HTML and response.body.lstrip(BEFORE_TEXT).startswith(b"<")


def _mime(response: HttpResponse) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _begins_without_json(body: bytes) -> bool:
    """Whether something of a body came, and it cannot become JSON in any encoding."""
    begin = body[:BEGINNING]
    return bool(begin.strip()) and not begin.lstrip(BEFORE_TEXT).startswith((b"{", b"["))


def requested_wait(
    poll: PollRules, document: Any, response: HttpResponse, now: float
) -> float | None:
    """Seconds that the provider wants us to wait, from Retry-After or its own hint; if it refused the
    poll, also from its rate limit headers.
    """
    wait = parse_retry_after(response.headers.get("retry-after"), now)
    if wait is None and poll.hint:
        wait = parse_wait(poll.hint.at.find(document, response.headers), poll.hint.unit, now)
    if wait is None and response.status not in poll.reads:
        wait = exhausted_for(response.headers, now)
    return wait


def _failure(poll: PollRules, response: HttpResponse, wait: float | None) -> PollFailure:
    kind = FAILURES.get(response.status, "failed")
    if kind == "missing" and is_html_page(response):
        text = as_line(response.body)
        return PollFailure("failed", f"HTTP {response.status} with a page of HTML: {text}", wait)
    if kind == "missing" and poll.gone:
        kind = "gone"
    if wait is not None and _says_when_to_return(response):
        kind = "throttled"
    return PollFailure(kind, _http_error(response), wait)


def _says_when_to_return(response: HttpResponse) -> bool:
    """Whether an answer of this code with a time means too many polls: a 503 by RFC 9110, 15.6.4; and a
    403 with Retry-After, as GitHub's secondary rate limit. No token becomes good by waiting; but a
    profile's `hint` may be in any answer.
    """
    has_header = "retry-after" in response.headers
    return response.status == 503 or (response.status == 403 and has_header)  # noqa: PLR2004 - as said


def _http_error(response: HttpResponse) -> str:
    return f"HTTP {response.status}: {as_line(response.body)}"


def as_line(body: bytes) -> str:
    """The first 4 KiB of a body as one printable line, to quote the provider's error message."""
    text = " ".join(body[:QUOTED].decode("utf-8", "replace").split())
    return "".join(letter for letter in text if letter.isprintable()) or "no body"
