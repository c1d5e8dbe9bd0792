"""Error messages of outbound requests, in a few words that reveal nothing.

Tenants see them in delivery attempts, so they never contain a resolved address, a URL, or bytes
of a response.
"""

import errno
import ssl

import aiohttp

from processor.errors import BlockedTarget, RequestFailed, RingbackError

CONNECT_SECONDS = 5.0

# Everything that a request can raise: aiohttp's errors, sockets and TLS (OSError), an invalid URL
# or header (ValueError), a closed session or loop (RuntimeError).
REQUEST_ERRORS = (aiohttp.ClientError, OSError, ValueError, RuntimeError, EOFError)

_ERRNO: dict[int | None, str] = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: f"could not connect within {CONNECT_SECONDS:g} s",
    errno.EMFILE: "too many open files here",
}

# The first match wins; subclasses come before their base classes.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ConnectionTimeoutError, f"could not connect within {CONNECT_SECONDS:g} s"),
    (aiohttp.ClientConnectorDNSError, "DNS: the host name does not resolve"),
    (aiohttp.ClientConnectorSSLError, "TLS: handshake failed"),
    (aiohttp.ServerDisconnectedError, "connection closed before an answer"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
    (ssl.SSLError, "TLS: the connection broke"),
)


def describe_failure(error: Exception, timeout: float) -> RingbackError:
    """Turn any error of a request with this timeout into BlockedTarget or RequestFailed."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, BlockedTarget):
        return BlockedTarget(str(cause))
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return RequestFailed(f"TLS: certificate verify failed: {_fault(error.certificate_error)}")
    for kind, words in _KINDS:
        if isinstance(error, kind):
            return RequestFailed(words)
    if isinstance(error, TimeoutError):
        return RequestFailed(f"timed out after {timeout:g} s")
    number = getattr(error, "errno", None)
    return RequestFailed(_ERRNO.get(number, f"request failed ({type(error).__name__})"))


def _fault(error: Exception) -> str:
    return getattr(error, "verify_message", "") or "not valid for this host"
