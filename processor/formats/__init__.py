"""What goes over the wire to a subscriber, by the name of its format. In reading order:

trace        the trace that a job belongs to: W3C's `traceparent`
custom       headers of a subscription's own: which may be, which may not
envelope     what every request carries: the subscription's headers, our id, time and signatures
standard     Standard Webhooks: the event as it is
cloudevents  CloudEvents 1.0: structured, binary, batch

A format takes events (id and body, as they were committed), their target and the time; it gives
headers and body of one request. The same event is the same bytes in every attempt.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from processor.formats import cloudevents, standard
from processor.formats.custom_headers import check_headers
from processor.formats.request_headers import Event, Wire, secrets_now
from processor.formats.trace_context import traceparent
from processor.model import Subscription

Format = Literal["standard", "cloudevents", "cloudevents-binary", "cloudevents-batch"]
Write = Callable[[Sequence[Event], Subscription, float], Wire]

BATCH: Format = "cloudevents-batch"  # the one that takes more than one event

FORMATS: Mapping[str, Write] = {
    "standard": standard.write,
    "cloudevents": cloudevents.structured,
    "cloudevents-binary": cloudevents.binary,
    BATCH: cloudevents.batch,
}

__all__ = [
    "BATCH",
    "FORMATS",
    "Event",
    "Format",
    "Wire",
    "Write",
    "check_headers",
    "secrets_now",
    "traceparent",
]
