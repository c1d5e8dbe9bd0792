"""Who may call: whoever sends one of the keys. Pushes are guarded by their signatures instead."""

import hmac
from collections.abc import Iterable, Iterator
from hashlib import sha256

from starlette.types import ASGIApp, Receive, Scope, Send

from processor.config import Settings, Source
from processor.errors import Unauthorized
from processor.web.mirror_routes import MirrorRoutes
from processor.web.problems import explain
from processor.web.rate_limit import KeylessRateLimit

OPEN = ("/healthz", "/readyz")
"""Paths that have nothing to guard. /hooks/ does not come here: `PathRouter` sends it to the receiver."""

READING = ("GET", "HEAD")
HAS_KEY = "ringback.has_key"  # in the scope of a call that was let through

Headers = Iterable[tuple[bytes, bytes]]


class Authentication:
    """Lets calls with a key through, and answers the others with 401, whatever they ask for.

    At the mirror the key may also stand where the provider's own SDK puts its credential. Only the
    mirror of a source that is open is read without any.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, calls: KeylessRateLimit, mirrors: MirrorRoutes
    ) -> None:
        """Take the keys in force, and what spaces out refusals."""
        self._calls = calls
        self._app = app
        self._keys = tuple(sha256(key.encode()).digest() for key in settings.api_keys)
        self._mirrors = mirrors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] != "lifespan" and not self._may(scope):
            await self._calls.turn(scope)
            error = Unauthorized("No valid key; send `Authorization: Bearer KEY`")
            return await explain(error)(scope, receive, send)
        return await self._app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        path: str = scope["path"]
        source = self._mirrors.source_of(path) if scope["method"] in READING else None
        scope[HAS_KEY] = any(self._is_known(key) for key in given(scope["headers"], source))
        return scope[HAS_KEY] or path in OPEN or (source is not None and source.mirror_open)

    def _is_known(self, key: bytes) -> bool:
        """Compares with every key, so that the time taken does not depend on which one fits."""
        digest = sha256(key).digest()
        fits = [hmac.compare_digest(digest, known) for known in self._keys]
        return any(fits)


def given(headers: Headers, source: Source | None = None) -> Iterator[bytes]:
    """What may be a key: the bearer token, and at a mirror what its SDK sends in its own way."""
    headers = list(headers)
    yield bearer(headers)
    for auth in source.profile.auths if source else ():
        value = one(headers, auth.name.encode())
        yield from (token.encode("latin-1") for token in auth.tokens(value.decode("latin-1")))


def bearer(headers: Headers) -> bytes:
    """The key of the one `Authorization: Bearer` header; nothing where there are several."""
    scheme, _, key = one(headers, b"authorization").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def one(headers: Headers, name: bytes) -> bytes:
    """The value of a header that comes once; nothing of one that comes twice."""
    values = [value for key, value in headers if key == name]
    return values[0].strip() if len(values) == 1 else b""
