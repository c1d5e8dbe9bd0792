"""Everything that Ringback raises on purpose, as one tree.

RingbackError
├── ConfigError          the operator's fault: a wrong setting or profile  exit 2
├── RequestError         the caller's fault: the response has its status   4xx
│   ├── Unreadable         a push or body that cannot be read              400
│   ├── BadSignature       a push whose signature is not valid             401
│   │   └── UnknownKey       no published key made it; a newer one might     401
│   ├── Unauthorized       a call without a valid key                      401
│   ├── Forbidden          a form of the dashboard without its token       403
│   ├── NotFound           no such source, job or subscription             404
│   ├── Conflict           not possible in this state                      409
│   ├── CursorExpired      a cursor older than the log                     410
│   ├── TooLarge           a body over its limit                           413
│   ├── WrongType          an unsupported content type or encoding         415
│   └── InvalidValue       an invalid value or unknown key                 422
├── ProviderError        the provider refuses our token or is slow         502, 504
├── BlockedTarget        the egress guard (SSRF) denies the connection
├── RequestFailed        an outbound request got no response
└── Unavailable          not now; the same call may work later               503
    ├── StoreUnavailable   Redis does not answer, or cannot serve now: an outage
    │   ├── MissingPermission   Redis denies its user a command or a key: a wrong setting
    │   └── WrongRedisUrl   Redis refuses what REDIS_URL says: a wrong setting
    │       └── WrongCredentials   Redis refuses the user or password
    ├── WrongKeyType       a key of one job, target or event has another type than ours
    ├── NotFinished        the job runs longer than a call may wait for it
    ├── Overloaded         a limit is reached: memory, bytes in flight, streams
    │   └── BudgetSpent      a provider's budget is used up, or it wants no requests now
    └── Contention         concurrent changes of the same record, too often
"""


class RingbackError(Exception):
    """Base of all errors that Ringback raises on purpose."""


class ConfigError(RingbackError):
    """The configuration is wrong; the message names file, key and remedy."""


class RequestError(RingbackError):
    """The caller's fault; the message says what to change."""

    status = 400
    title = "Bad request"


class Unreadable(RequestError):
    """A body that cannot be read in its declared format."""


class BadSignature(RequestError):
    """The push is not signed by one of the source's secrets."""

    status = 401
    title = "Signature refused"


class UnknownKey(BadSignature):
    """None of the provider's published keys made the signature; there may be newer keys."""


class Unauthorized(RequestError):
    """The call has no valid API key."""

    status = 401
    title = "Unauthorized"


class Forbidden(RequestError):
    """A form that none of our own pages has sent in this session."""

    status = 403
    title = "Forbidden"


class NotFound(RequestError):
    """There is no such source, job or subscription."""

    status = 404
    title = "Not found"


class Conflict(RequestError):
    """The record exists, but its state does not allow the call."""

    status = 409
    title = "Conflict"


class CursorExpired(RequestError):
    """The event log has been trimmed past the position of the cursor."""

    status = 410
    title = "Gone"


class TooLarge(RequestError):
    """The body is over its limit."""

    status = 413
    title = "Body too large"


class WrongType(RequestError):
    """The content type or encoding is not supported."""

    status = 415
    title = "Unsupported media type"


class InvalidValue(RequestError):
    """An invalid value or an unknown key."""

    status = 422
    title = "Invalid value"


class ProviderError(RingbackError):
    """The provider refuses the source's token or gives no answer (502), or none in time (504)."""

    def __init__(self, message: str, status: int) -> None:
        """`status` is the HTTP status of our response."""
        super().__init__(message)
        self.status = status


class BlockedTarget(RingbackError):
    """The egress guard refuses to connect to this URL or address."""


class RequestFailed(RingbackError):
    """An outbound request got no HTTP response: refused, reset, timed out."""


class Unavailable(RingbackError):
    """The call cannot be served now; the same call may work later."""

    retry_after = 5  # seconds


class StoreUnavailable(Unavailable):
    """Redis does not answer, or cannot serve reads or writes now.

    The message is for the log only: it contains the address of Redis, which callers must not see.
    """

    public = "Redis does not answer, or cannot serve now; the log says why"


class MissingPermission(StoreUnavailable):
    """The Redis user lacks permission for a command or a key; the message names it."""


class WrongRedisUrl(StoreUnavailable):
    """Redis refuses what REDIS_URL says, such as a database that does not exist."""


class WrongCredentials(WrongRedisUrl):
    """Redis does not accept the user or password of REDIS_URL."""


class WrongKeyType(Unavailable):
    """A key holds a value of another type; only what needs it fails, until somebody removes it."""


class NotFinished(Unavailable):
    """The job has not finished within the time that a call may wait for it."""

    retry_after = 1


class Overloaded(Unavailable):
    """A limit of ours is reached: memory, bytes in flight, or open streams."""


class BudgetSpent(Overloaded):
    """No request may be sent with a token before a time."""

    def __init__(self, message: str, until: float) -> None:
        """Take the time in seconds."""
        super().__init__(message)
        self.until = until


class Contention(Unavailable):
    """Concurrent calls changed the same record first, as often as we tried."""
