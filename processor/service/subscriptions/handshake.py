"""CloudEvents' web hook handshake, the sender's half: asks a URL whether it wants events.

github.com/cloudevents/spec, HTTP 1.1 Web Hooks, section 4: the headers of the response decide, its
status does not.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from processor.config import Settings
from processor.errors import BlockedTarget, InvalidValue, RequestFailed
from processor.service.runtime.context import Context

TIMEOUT = 10.0  # seconds for the response; the caller waits
ANY_ORIGIN = "*"


async def shake(context: Context, url: str, headers: Mapping[str, str]) -> str:
    """Ask a URL; returns the origin that it confirmed, or raises InvalidValue."""
    origin = origin_of(context.settings)
    try:
        response = await context.egress.request(
            "OPTIONS",
            url,
            headers={**headers, "webhook-request-origin": origin},
            timeout=TIMEOUT,
            body_wanted=False,
        )
    except (BlockedTarget, RequestFailed) as error:
        raise InvalidValue(f"handshake: {url} cannot be asked: {error}") from None
    allowed = response.headers.get("webhook-allowed-origin", "").strip().lower()
    if allowed not in (origin, ANY_ORIGIN):
        raise InvalidValue(
            f"handshake: {url} does not allow {origin}: answer OPTIONS with "
            f"`WebHook-Allowed-Origin: {origin}` or `*`, or leave out the handshake"
        )
    return origin


def origin_of(settings: Settings) -> str:
    """Our `WebHook-Request-Origin`: the host of the public URL."""
    return (urlsplit(settings.public_url or "").hostname or "localhost").lower()
