"""Authentication: calls need one of the API keys, or the session of a browser that had one. Pushes
have signatures instead.
"""

import hmac
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from processor.config import Settings, Source
from processor.errors import Unauthorized
from processor.web.mirror_routes import MirrorRoutes
from processor.web.problems import explain
from processor.web.rate_limit import KeylessRateLimit
from processor.web.session import CSRF_HEADER, SCOPE, Session, Sessions, cookie_of

OPEN = ("/healthz", "/readyz")
"""Paths without a key. Pushes do not come here: `PathRouter` passes them to the receiver."""

HOME, SIGN_IN, PAGES, STATIC = "/", "/session", "/dashboard/", "/dashboard/static/"
"""The dashboard: `/` is the sign-in form without a session, and the overview with one."""

READING = ("GET", "HEAD")
HEADER_ENCODINGS = ("utf-8", "latin-1")  # of keys with other characters than ASCII: callers differ
HAS_KEY = "ringback.has_key"  # in the scope of a call: whether it has a key

Headers = Iterable[tuple[bytes, bytes]]


class Authentication:
    """Passes calls with a key on, and answers all others with 401, for every path.

    At the mirror the key may also be where the provider's own SDK sends its credential. The mirror
    of a source with `mirror = "open"` can be read without a key.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, calls: KeylessRateLimit, mirrors: MirrorRoutes
    ) -> None:
        self._calls = calls
        self._app = app
        self._keys = {  # of a key in ASCII both encodings are one
            sha256(key.encode(encoding)).digest()
            for key in settings.api_keys
            for encoding in HEADER_ENCODINGS
        }
        self._mirrors = mirrors
        self._sessions = Sessions(settings.api_keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        allowed = self._may(scope)
        signed_in = scope[HAS_KEY] or scope[SCOPE] is not None
        if not allowed or (not signed_in and is_sign_in(scope)):
            await self._calls.wait(scope)
        if allowed:
            return await self._app(scope, receive, send)
        return await _refusal(scope)(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        path: str = scope["path"]
        source = self._mirrors.source_of(path) if scope["method"] in READING else None
        scope[HAS_KEY] = any(self._is_known(key) for key in candidates(scope["headers"], source))
        scope[SCOPE] = session = None if scope[HAS_KEY] else self._session(scope["headers"])
        if scope[HAS_KEY] or path in OPEN or is_sign_in(scope):
            return True
        if source is not None and source.mirror_open:
            return True
        return session is not None and _may_use(session, scope)

    def _session(self, headers: Headers) -> Session | None:
        cookie = cookie_of(only_value(headers, b"cookie"))
        return self._sessions.read(cookie, time.time()) if cookie else None

    def _is_known(self, key: bytes) -> bool:
        """Compare with every key, so that the time does not depend on which one matches."""
        digest = sha256(key).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._keys]
        return any(matches)


def is_sign_in(scope: Scope) -> bool:
    """Whether a call needs no key because it is a part of signing in."""
    path, method = scope["path"], scope["method"]
    if method == "POST":
        return bool(path == SIGN_IN)
    return method in READING and (path == HOME or path.startswith(STATIC))


def _may_use(session: Session, scope: Scope) -> bool:
    """A session may see the dashboard and read the API; every other call needs its CSRF token.

    The forms of the dashboard carry the token in their body: their handlers check it.
    """
    path: str = scope["path"]
    if path.startswith(PAGES):
        return True
    if not path.startswith("/v1/") and path != SIGN_IN:
        return False
    token = only_value(scope["headers"], CSRF_HEADER).decode("latin-1")
    return scope["method"] in READING or session.allows(token)


def _refusal(scope: Scope) -> ASGIApp:
    """A page or button of the dashboard asks to sign in, and leads back; all else is a problem."""
    path: str = scope["path"]
    if path.startswith(PAGES) and scope[SCOPE] is None:
        if scope["method"] in READING:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"/?next={quote(f'{path}?{query}' if query else path)}", 303)
        if b"text/html" in only_value(scope["headers"], b"accept"):
            return RedirectResponse(f"/?notice=ended&next={quote(_page_of(path))}", 303)
    return explain(Unauthorized("No valid key; send `Authorization: Bearer KEY`"))


def _page_of(action: str) -> str:
    """The page with the button of an action, as far as the action's path names it."""
    if action == f"{PAGES}jobs":
        return action
    page, _, _ = action.rpartition("/")
    return page if page.startswith((f"{PAGES}jobs/", f"{PAGES}subscriptions/")) else HOME


def candidates(headers: Headers, source: Source | None = None) -> Iterator[bytes]:
    """The candidates for a key: the bearer token, and at a mirror the credential of its SDK."""
    headers = list(headers)
    yield bearer(headers)
    for auth in source.profile.auths if source else ():
        value = only_value(headers, auth.name.encode())
        yield from (token.encode("latin-1") for token in auth.tokens(value.decode("latin-1")))


def bearer(headers: Headers) -> bytes:
    """The key of the `Authorization: Bearer` header; empty if there are several headers."""
    scheme, _, key = only_value(headers, b"authorization").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def only_value(headers: Headers, name: bytes) -> bytes:
    """The value of a header; empty if the header is missing or repeated."""
    values = [value for key, value in headers if key == name]
    return values[0].strip() if len(values) == 1 else b""
