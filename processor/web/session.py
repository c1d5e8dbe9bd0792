"""Sessions of browsers: a cookie signed with an API key, and the CSRF token that belongs to it.

The cookie is `EXPIRES.NONCE.MAC`. Nothing is stored: the API key itself is the key of the HMAC, so
a session ends with its API key. It cannot end earlier than that or its expiry; signing out makes
the browser forget it.
"""

import hmac
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request

COOKIE = "ringback_session"
LIFETIME = 12 * 3600  # seconds
CSRF_HEADER = b"x-csrf-token"
SCOPE = "ringback.session"  # in the scope of a call: its session, or None


class Session(NamedTuple):
    """A session that is valid now."""

    csrf_token: str

    def allows(self, token: str) -> bool:
        """Whether a request proves that one of our own pages sent it."""
        return hmac.compare_digest(self.csrf_token.encode(), token.encode(errors="replace"))


class Sessions:
    """Makes and checks the cookies of these API keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def create(self, key: str, now: float) -> str | None:
        """The cookie of a new session; None if this is no API key."""
        given = key.encode(errors="replace")
        found = [known for known in self._keys if hmac.compare_digest(given, known)]
        return (
            _signed(found[0], f"{int(now) + LIFETIME}.{secrets.token_hex(16)}") if found else None
        )

    def read(self, cookie: str, now: float) -> Session | None:
        """The session of a cookie; None if it has ended, or no API key of now has signed it."""
        content, _, _ = cookie.rpartition(".")
        expires = content.partition(".")[0]
        given = cookie.encode(errors="replace")
        found = [
            key for key in self._keys if hmac.compare_digest(_signed(key, content).encode(), given)
        ]
        if not found or now >= int(expires):
            return None
        return Session(_mac(found[0], "csrf", cookie))


def cookie_of(header: bytes) -> str:
    """Our cookie in a `Cookie` header; empty if there is none.

    Python's `SimpleCookie` finds none after a cookie that it does not like, such as JSON. Those of
    other programs on the same machine come along: a cookie is for all ports.
    """
    pairs = (part.strip().partition("=") for part in header.decode("latin-1").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def session_of(request: Request) -> Session | None:
    """The session of a call, as `Authentication` found it."""
    found: Session | None = request.scope.get(SCOPE)
    return found


def _signed(key: bytes, content: str) -> str:
    return f"{content}.{_mac(key, 'session', content)}"


def _mac(key: bytes, purpose: str, content: str) -> str:
    return hmac.digest(
        key, f"ringback {purpose} {content}".encode(errors="replace"), "sha256"
    ).hex()
