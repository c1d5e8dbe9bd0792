"""Authentication: calls need one of the API keys. Pushes have signatures instead."""

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
"""Paths without a key. Pushes do not come here: `PathRouter` passes them to the receiver."""

READING = ("GET", "HEAD")
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
        self._keys = tuple(sha256(key.encode()).digest() for key in settings.api_keys)
        self._mirrors = mirrors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] != "lifespan" and not self._may(scope):
            await self._calls.wait(scope)
            error = Unauthorized("No valid key; send `Authorization: Bearer KEY`")
            return await explain(error)(scope, receive, send)
        return await self._app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        path: str = scope["path"]
        source = self._mirrors.source_of(path) if scope["method"] in READING else None
        scope[HAS_KEY] = any(self._is_known(key) for key in candidates(scope["headers"], source))
        return scope[HAS_KEY] or path in OPEN or (source is not None and source.mirror_open)

    def _is_known(self, key: bytes) -> bool:
        """Compare with every key, so that the time does not depend on which one matches."""
        digest = sha256(key).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._keys]
        return any(matches)


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
