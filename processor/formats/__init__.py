"""What goes over the wire to a subscriber, by the name of its format. In reading order:

trace_context    the trace that a job belongs to: W3C's `traceparent`
custom_headers   a subscription's own headers: which are allowed
request_headers  what every request carries: the subscription's headers, our id, time and signatures
standard         Standard Webhooks: the event as it is
cloudevents      CloudEvents 1.0: structured, binary, batch

A format takes events (id and body, as committed), their subscription and the time, and returns
headers and body of one request. The same event is the same bytes in every attempt.
"""

from collections.abc import Callable, Mapping, Sequence

from processor.formats import cloudevents, standard
from processor.formats.custom_headers import check_headers
from processor.formats.request_headers import Event, SignedRequest, signing_secrets
from processor.formats.trace_context import traceparent
from processor.model import Subscription

Formatter = Callable[[Sequence[Event], Subscription, float], SignedRequest]

BATCH = "cloudevents-batch"  # the one that takes more than one event

FORMATS: Mapping[str, Formatter] = {
    "standard": standard.write,
    "cloudevents": cloudevents.structured,
    "cloudevents-binary": cloudevents.binary,
    BATCH: cloudevents.batch,
}

__all__ = [
    "BATCH",
    "FORMATS",
    "Event",
    "Formatter",
    "SignedRequest",
    "check_headers",
    "signing_secrets",
    "traceparent",
]
