"""Everything that Ringback raises on purpose, as one tree.

RingbackError
├── ConfigError          the operator's: a wrong setting or profile        exit 2
├── RequestError         the caller's: answered with its HTTP status       4xx
│   ├── Unreadable         a push or body that cannot be read              400
│   ├── BadSignature       a push whose signature does not hold            401
│   │   └── UnknownKey       no published key made it; a newer one may       401
│   ├── Unauthorized       a call without a valid key                      401
│   ├── NotFound           no such source, job or subscription             404
│   ├── Conflict           not possible for this thing                     409
│   ├── CursorExpired      a cursor older than the log                     410
│   ├── TooLarge           a body over its limit                           413
│   ├── WrongType          a content type or encoding that is not taken    415
│   └── InvalidValue       a value or key that means nothing               422
├── ProviderError        the provider does not let us answer               502, 504
├── BlockedTarget        the egress guard will not connect there
├── RequestFailed        an outbound request got no answer
└── Unavailable          not now; the same call may work later               503
    ├── StoreUnavailable   Redis does not answer, or cannot serve now: an outage
    │   ├── MissingPermission   Redis denies its user a command or a key: a wrong setting
    │   └── WrongRedisUrl   REDIS_URL says what Redis cannot take: a wrong setting
    │       └── WrongCredentials   Redis does not know the user or password
    ├── WrongKeyType       a key of one job, target or event has another type than ours
    ├── Overloaded         too much is in work or kept already
    └── Contention         others kept changing the same thing meanwhile
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
    """A body that is not what it claims to be."""


class BadSignature(RequestError):
    """The push is not signed by one of the source's secrets."""

    status = 401
    title = "Signature refused"


class UnknownKey(BadSignature):
    """None of the keys that the provider publishes made the signature; there may be new ones."""


class Unauthorized(RequestError):
    """The call carries no valid key."""

    status = 401
    title = "Unauthorized"


class NotFound(RequestError):
    """There is no such thing."""

    status = 404
    title = "Not found"


class Conflict(RequestError):
    """The thing is there, but this cannot be done to it."""

    status = 409
    title = "Conflict"


class CursorExpired(RequestError):
    """The place in the event log that the cursor names was trimmed."""

    status = 410
    title = "Gone"


class TooLarge(RequestError):
    """The body is over its limit."""

    status = 413
    title = "Body too large"


class WrongType(RequestError):
    """The content type or encoding is not taken here."""

    status = 415
    title = "Unsupported media type"


class InvalidValue(RequestError):
    """A value or key that means nothing here."""

    status = 422
    title = "Invalid value"


class ProviderError(RingbackError):
    """The provider refuses the source's token (502), or does not answer in time (504)."""

    def __init__(self, message: str, status: int) -> None:
        """Take the status that the caller gets."""
        super().__init__(message)
        self.status = status


class BlockedTarget(RingbackError):
    """The egress guard refuses to connect to this URL or address."""


class RequestFailed(RingbackError):
    """An outbound request got no HTTP answer: refused, reset, timed out."""


class Unavailable(RingbackError):
    """The call cannot be served now; the same call may work later."""


class StoreUnavailable(Unavailable):
    """Redis does not answer, or cannot serve reads or writes now.

    The message is for the log: it names where Redis is, which callers are not told.
    """

    public = "Redis does not answer, or cannot serve now; the log says why"


class MissingPermission(StoreUnavailable):
    """The Redis user may not run a command, or not on a key; the message names it."""


class WrongRedisUrl(StoreUnavailable):
    """Redis refuses what REDIS_URL says, such as a database that it does not have."""


class WrongCredentials(WrongRedisUrl):
    """Redis does not accept the user or password of REDIS_URL."""


class WrongKeyType(Unavailable):
    """A key holds a value that is not ours; what needs it fails alone, until somebody removes it."""


class Overloaded(Unavailable):
    """A bound of ours is reached: memory, bytes in flight, or open streams."""


class Contention(Unavailable):
    """Somebody else changed the same thing first, as often as we tried."""
