"""Asking a URL whether it wants events: CloudEvents' web hook handshake, the sender's half.

github.com/cloudevents/spec, HTTP 1.1 Web Hooks, section 4: the headers of the answer count, its
status does not.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from processor.config import Settings
from processor.errors import BlockedTarget, InvalidValue, RequestFailed
from processor.service.runtime.context import Context

TIMEOUT = 10.0  # seconds for the answer; the caller waits
ANYBODY = "*"


async def shake(context: Context, url: str, headers: Mapping[str, str]) -> str:
    """Ask, and say who we said that we are; Invalid unless the answer allows that one."""
    origin = origin_of(context.settings)
    try:
        answer = await context.egress.request(
            "OPTIONS",
            url,
            headers={**headers, "webhook-request-origin": origin},
            timeout=TIMEOUT,
            body_wanted=False,
        )
    except (BlockedTarget, RequestFailed) as error:
        raise InvalidValue(f"handshake: {url} cannot be asked: {error}") from None
    allowed = answer.headers.get("webhook-allowed-origin", "").strip().lower()
    if allowed not in (origin, ANYBODY):
        raise InvalidValue(
            f"handshake: {url} does not allow {origin}: answer OPTIONS with "
            f"`WebHook-Allowed-Origin: {origin}` or `*`, or do without the handshake"
        )
    return origin


def origin_of(settings: Settings) -> str:
    """Who we are to a subscriber: the host that the world knows this server by."""
    return (urlsplit(settings.public_url or "").hostname or "localhost").lower()
