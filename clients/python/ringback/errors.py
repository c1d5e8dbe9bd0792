"""The exceptions, all of them below RingbackError.

RingbackError
├── Unauthorized   401: no key, or one that the server does not know
├── Forbidden      403
├── NotFound       404: no such job, source, subscription or group
├── Conflict       409
├── Invalid        400, 413, 415, 422: the call itself is wrong
├── Unavailable    5xx, or no answer at all: try again later
├── Timeout        the time to wait is over; `job`, `jobs` or `group` say how they are
├── EventsTrimmed  events after the cursor are not in the log any more
└── BadSignature   a callback is not genuine, or too old
"""

from typing import Any

from ringback.model import Group, Job


class RingbackError(Exception):
    """What the server answered: `status` is None without an answer."""

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        title: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}" if title else detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.request_id = request_id


class Unauthorized(RingbackError):
    """The key is missing or unknown: set RINGBACK_API_KEY."""


class Forbidden(RingbackError):
    """The key may not do this."""


class NotFound(RingbackError):
    """There is no such thing."""


class Conflict(RingbackError):
    """What is there does not allow it."""


class Invalid(RingbackError):
    """The call is wrong; `detail` names the field and the remedy."""


class Unavailable(RingbackError):
    """The server cannot be reached, or cannot do it now."""


class Timeout(RingbackError):
    """The time to wait is over: `job`, `jobs` or `group` are the last known, if the server told any.

    `__cause__` is why the last try failed, if the server was away by then.
    """

    def __init__(
        self,
        detail: str,
        *,
        jobs: tuple[Job, ...] = (),
        group: Group | None = None,
    ) -> None:
        super().__init__(detail)
        self.jobs = jobs
        self.group = group

    @property
    def job(self) -> Job | None:
        """The job, if one was waited for and the server told of it."""
        return self.jobs[0] if self.jobs else None


class EventsTrimmed(RingbackError):
    """The log begins after the cursor: read the jobs again, then follow from now."""


class BadSignature(RingbackError):
    """A callback that must not be believed."""


BY_STATUS: dict[int, type[RingbackError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: EventsTrimmed,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}


FAILED = 500  # the first status code that is the server's fault


def error_of(status: int, problem: Any, text: str) -> RingbackError:
    """The error for an answer; `problem` is its document (RFC 9457), if it has one."""
    fields = problem if isinstance(problem, dict) else {}
    kind = BY_STATUS.get(status, Unavailable if status >= FAILED else RingbackError)
    detail = str(fields.get("detail") or text[:200] or f"HTTP {status}")
    return kind(
        f"{detail}; set RINGBACK_API_KEY, or give key=" if kind is Unauthorized else detail,
        status=status,
        title=str(fields.get("title") or ""),
        request_id=fields.get("request_id"),
    )
