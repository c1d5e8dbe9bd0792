"""Error messages of outbound requests, in a few words that reveal nothing.

Tenants see them in delivery attempts, so they never contain a resolved address, a URL, or bytes
of a response.
"""

import errno
import ssl

from httptools import HttpParserError

from processor.errors import BlockedTarget, RequestFailed, RingbackError

CONNECT_SECONDS = 5.0

# Everything that a request can raise: sockets, timers and TLS (OSError), an invalid URL or header
# (ValueError), a closed client or loop (RuntimeError).
REQUEST_ERRORS = (OSError, ValueError, RuntimeError)


class ConnectTimeoutError(TimeoutError):
    """No connection in time."""


class NoPlaceError(TimeoutError):
    """No place in the pool in time: as many requests as may run at once had no answer."""


class NameNotFoundError(OSError):
    """The host name has no address."""


class HandshakeError(OSError):
    """The TLS handshake failed, but not because of the certificate."""


class DisconnectedError(ConnectionError):
    """The connection was closed before the head of the response was complete."""


class BrokenOffError(ConnectionError):
    """The connection was closed within the body of the response."""


class NoRoomError(Exception):
    """Other large answers took all the memory for such."""


class TooLargeError(Exception):
    """The body of the response is larger than the limit, in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is larger than {limit} bytes")


class BrokenResponseError(Exception):
    """A head is incomplete or malformed: what went wrong, and the bytes received so far."""

    def __init__(self, error: Exception, received: bytes) -> None:
        super().__init__(str(error))
        self.error, self.received = error, received


_NOT_CONNECTED = f"could not connect within {CONNECT_SECONDS:g} s"
_ERRNO: dict[int, str] = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: _NOT_CONNECTED,
    errno.EMFILE: "too many open files here",
}

# The first match wins; subclasses come before their base classes.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectTimeoutError, _NOT_CONNECTED),
    (
        NoPlaceError,
        f"not sent: as many requests as may wait for answers did, for {CONNECT_SECONDS:g} s",
    ),
    (NameNotFoundError, "DNS: the host name does not resolve"),
    (HandshakeError, "TLS: handshake failed"),
    (DisconnectedError, "connection closed before an answer"),
    (BrokenOffError, "the answer broke off"),
    (NoRoomError, "no room for another large answer in time"),
    (HttpParserError, "the answer is not valid HTTP"),
    (ssl.SSLError, "TLS: the connection broke"),
)


def describe_failure(error: Exception, timeout: float) -> RingbackError:
    """Turn any error of a request with this timeout into BlockedTarget or RequestFailed."""
    if isinstance(error, BlockedTarget):
        return BlockedTarget(str(error))
    return RequestFailed(_words(error, timeout))


def _words(error: Exception, timeout: float) -> str:
    if isinstance(error, TooLargeError | RequestFailed):
        return str(error)
    if isinstance(error, ssl.CertificateError):
        fault = error.verify_message or "not valid for this host"
        return f"TLS: certificate verify failed: {fault}"
    for kind, words in _KINDS:
        if isinstance(error, kind):
            return words
    number = getattr(error, "errno", None)
    if number in _ERRNO:
        return _ERRNO[number]
    if isinstance(error, TimeoutError):
        return f"timed out after {timeout:g} s"
    return f"request failed ({type(error).__name__})"
