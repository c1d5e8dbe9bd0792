"""The delivery formats: how events become HTTP requests to subscribers. In reading order:

trace_context    W3C Trace Context: the `traceparent` that a job belongs to
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

BATCH = "cloudevents-batch"  # the only format that sends several events in one request

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
