"""Standard Webhooks: the event as it is."""

from collections.abc import Sequence

from processor.formats.request_headers import Event, SignedRequest, signed_request
from processor.model import Subscription

HEADERS = {"content-type": "application/json"}


def write(events: Sequence[Event], target: Subscription, now: float) -> SignedRequest:
    """One event, its payload as it was committed."""
    (event,) = events
    return signed_request(target, event, now, HEADERS)
