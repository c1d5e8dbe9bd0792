"""Who may call: whoever sends one of the keys. Pushes are guarded by their signatures instead."""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from starlette.types import ASGIApp, Receive, Scope, Send

from processor.config import Settings
from processor.errors import Unauthorized
from processor.web.fairness import OpenCalls
from processor.web.problems import explain

OPEN = ("/healthz", "/readyz")
"""Paths that have nothing to guard. /hooks/ does not come here: `Front` sends it to the receiver."""

READING = ("GET", "HEAD")


class Authentication:
    """Lets calls with a key through, and answers the others with 401, whatever they ask for."""

    def __init__(self, app: ASGIApp, settings: Settings, calls: OpenCalls) -> None:
        """Take the keys in force, and what spaces out refusals."""
        self._calls = calls
        self._app = app
        self._keys = tuple(sha256(key.encode()).digest() for key in settings.api_keys)
        self._open_mirrors = tuple(
            f"/mirror/{s.name}/" for s in settings.sources.values() if s.mirror_open
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] != "lifespan" and not self._may(scope):
            await self._calls.turn(scope)
            error = Unauthorized("No valid key; send `Authorization: Bearer KEY`")
            return await explain(error)(scope, receive, send)
        return await self._app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in OPEN:
            return True
        if scope["method"] in READING and path.startswith(self._open_mirrors):
            return True
        return self._is_known(bearer(scope["headers"]))

    def _is_known(self, given: bytes) -> bool:
        """Compares with every key, so that the time taken does not depend on which one fits."""
        digest = sha256(given).digest()
        fits = [hmac.compare_digest(digest, known) for known in self._keys]
        return any(fits)


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The key of the one `Authorization: Bearer` header; nothing where there are several."""
    given = [value for name, value in headers if name == b"authorization"]
    scheme, _, key = given[0].strip().partition(b" ") if len(given) == 1 else (b"", b"", b"")
    return key.strip() if scheme.lower() == b"bearer" else b""
