"""Standard Webhooks: the event as it is."""

from collections.abc import Sequence

from processor.formats.request_headers import Event, Wire, sealed
from processor.model import Subscription

HEADERS = {"content-type": "application/json"}


def write(events: Sequence[Event], target: Subscription, now: float) -> Wire:
    """One event, its payload as it was committed."""
    (event,) = events
    return sealed(target, event, now, HEADERS)
