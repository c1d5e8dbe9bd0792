"""Renders pages: Jinja2 templates that escape everything, with headers that allow only our own files."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from processor.event_types import EVENT_TYPES
from processor.model import FINAL
from processor.web.problems import Problem, explain
from processor.web.rate_limit import Handler
from processor.web.session import session_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
NOTICES = {
    "watched": "The job is watched.",
    "unwatched": "The job is not watched any more.",
    "polled": "The provider is being asked.",
    "retried": "The delivery is being sent again.",
    "replayed": "What it missed is being sent again.",
    "replayed-partly": "A part of what it missed is being sent again: repeat it for the rest.",
    "enabled": "The subscription is enabled.",
    "tested": "A test event is on its way.",
    "signed-out": "You are signed out.",
    "ended": "Your session had ended, so nothing was done: sign in, and press the button again.",
}
"""What a page says after an action, by the word in its address."""

MINUTE = 60  # seconds
_UNITS = ((86_400, "d"), (3600, "h"), (MINUTE, "min"), (1, "s"))


def page(handler: Handler) -> Handler:
    """A handler whose errors become pages."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 -- any error gets a response
            return error_page(request, error)

    return answer


def error_page(request: Request, error: Exception) -> Response:
    """What the API would answer, as a page."""
    answer = explain(error)
    problem = msgspec.json.decode(answer.body, type=Problem)
    response = render(request, "error.html", answer.status_code, problem=problem)
    if "retry-after" in answer.headers:
        response.headers["retry-after"] = answer.headers["retry-after"]
    return response


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    session = session_of(request)
    text = _templates.get_template(template).render(
        values,
        csrf_token=session.csrf_token if session else "",
        path=request.scope["path"],
        query=request.query_params,
        notice=NOTICES.get(request.query_params.get("notice", "")),
        now=datetime.now(UTC),
    )
    return HTMLResponse(text, status, HEADERS)


def duration(seconds: float | None) -> str:
    """Seconds in the largest unit that fits, and the next one: `1 h 5 min`."""
    if seconds is None:
        return "none"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:  # noqa: PLR2004 -- one digit more for short ones
        return f"{seconds:.1f} s"
    return _in_units(round(seconds))


def took(job: Mapping[str, Any]) -> float:
    """How long a finished job took, in seconds, by the clocks of its updates."""
    began: datetime = job["started_at"] or job["created_at"]
    ended: datetime = job["finished_at"]
    return max((ended - began).total_seconds(), 0.0)


def _in_units(rest: int) -> str:
    words = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2])


def ago(time: datetime, now: datetime, *, exact: bool = False) -> str:
    """How long ago a time was, or how far ahead it is; from a minute on without seconds, if not exact."""
    seconds = round((now - time).total_seconds())
    if not seconds:
        return "now"
    apart = abs(seconds)
    text = _in_units(apart if exact or apart < MINUTE else apart - apart % MINUTE)
    return f"{text} ago" if seconds > 0 else f"in {text}"


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def pretty(value: Any) -> str:
    """A value as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


_templates = Environment(
    loader=PackageLoader("processor.web.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.filters |= {
    "duration": duration,
    "ago": ago,
    "segment": segment,
    "pretty": pretty,
    "moment": datetime.fromisoformat,
}
_templates.globals |= {"event_types": EVENT_TYPES, "final": FINAL, "took": took}
