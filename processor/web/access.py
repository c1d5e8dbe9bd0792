"""Who may call: a key, or, while no key is set, only this machine's own user."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from processor.config import Settings
from processor.errors import Forbidden, Refused
from processor.web.problems import explain

OPEN = ("/hooks/", "/healthz", "/readyz")
"""Paths that guard themselves, or have nothing to guard."""

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
PROXY_HEADERS = ("forwarded", "via")
SAME_SITE = ("none", "same-origin")
_REMEDY = "set RINGBACK_API_KEYS and send one as `Authorization: Bearer`"


class Access:
    """Lets through who may call, and answers the others."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Take the keys in force."""
        self._app = app
        self._keys = tuple(key.encode() for key in settings.api_keys)
        self._open_mirrors = tuple(
            f"/mirror/{s.name}/" for s in settings.sources.values() if s.mirror_open
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] == "http" and not scope["path"].startswith(OPEN):
            try:
                self._check(Request(scope))
            except Refused as error:
                await explain(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, request: Request) -> None:
        if not self._keys:
            check_local(request.client.host if request.client else "", request.headers)
        elif not (self._has_key(request) or request.scope["path"].startswith(self._open_mirrors)):
            raise Forbidden("No valid key; send `Authorization: Bearer KEY`", 401)

    def _has_key(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        given = key.strip().encode("utf-8", "replace")
        good = [hmac.compare_digest(given, known) for known in self._keys]
        return scheme.lower() == "bearer" and any(good)


def check_local(peer: str, headers: Mapping[str, str]) -> None:
    """Forbidden unless a keyless call comes from this machine, and not through a browser's
    other site or a proxy: either could make anybody look local.
    """
    if not _loopback(peer):
        raise Forbidden(f"Calls without a key are for loopback only: {_REMEDY}")
    host = headers.get("host", "").lower()
    name = (
        host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.split(":")[0]
    )
    if name not in LOCAL_HOSTS:
        raise Forbidden(f"Host {host!r} is not this machine's own name: {_REMEDY}")
    if any(h in PROXY_HEADERS or h.startswith("x-forwarded-") for h in headers):
        raise Forbidden(f"The call came through a proxy: {_REMEDY}")
    if headers.get("sec-fetch-site", "none") not in SAME_SITE:
        raise Forbidden(f"The call came from another site's page: {_REMEDY}")


def _loopback(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
