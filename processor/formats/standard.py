"""The format `standard` (Standard Webhooks): the payload as committed."""

from collections.abc import Sequence

from processor.formats.request_headers import Event, SignedRequest, signed_request
from processor.model import Subscription

HEADERS = {"content-type": "application/json"}


def write(events: Sequence[Event], target: Subscription, now: float) -> SignedRequest:
    """Send one event, with its payload as committed."""
    (event,) = events
    return signed_request(target, event, now, HEADERS)
