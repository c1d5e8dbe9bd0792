"""What went wrong with an outbound request, in a few words that give nothing away.

The words reach tenants through delivery attempts, so they never carry an address that a name
resolved to, a URL, or bytes that somebody answered.
"""

import errno
import ssl

import aiohttp

from processor.errors import BlockedTarget, RequestFailed, RingbackError

CONNECT_SECONDS = 5.0

# All that a request can raise: aiohttp's own, sockets and TLS (OSError), text that is no URL or
# header (ValueError), a closed session or loop (RuntimeError).
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

# The first match speaks; subclasses come before what they derive from.
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
    """Turn what a request of `timeout` seconds raised into BlockedTarget or RequestFailed."""
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
