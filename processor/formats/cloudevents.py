"""CloudEvents 1.0 over HTTP: structured, binary and batch, with Standard Webhooks signatures.

github.com/cloudevents/spec, v1.0.2. `data` is passed on byte for byte. Our types get a prefix,
because the specification asks for types that name their producer.
"""

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from processor.formats.request_headers import Event, SignedRequest, signed_request
from processor.model import Subscription

SOURCE = "/ringback"  # the `source` of events without a source; else `/ringback/NAME`
TYPE = "ringback."
JSON = "application/json"
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}

IN_HEADERS = ("specversion", "id", "source", "type", "subject", "time", "traceparent")
"""The attributes that binary mode sends as `ce-` headers."""

_PLAIN = "".join(c for c in map(chr, range(0x21, 0x7F)) if c not in '"%')
"""Characters that are not percent-encoded in a `ce-` header (HTTP binding, 3.1.3.2)."""


class CloudEvent(msgspec.Struct, frozen=True):
    """A CloudEvent. `subject` is the id of the job, group or subscription that it is about.

    `traceparent` is the specification's own extension attribute; a batch has no other place for it.
    """

    specversion: str
    id: str
    source: str
    type: str
    time: str
    datacontenttype: str
    data: msgspec.Raw
    subject: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


class _Payload(msgspec.Struct):
    type: str
    timestamp: str
    data: msgspec.Raw


class _About(msgspec.Struct):
    source: Any = None
    id: Any = None
    subscription: Any = None


_payload = msgspec.json.Decoder(_Payload).decode
_about = msgspec.json.Decoder(_About).decode
_encode = msgspec.json.Encoder().encode


def structured(events: Sequence[Event], target: Subscription, now: float) -> SignedRequest:
    """Structured mode: one event, with its attributes in the body."""
    (event,) = events
    wrapped = replace(event, body=_encode(to_cloudevent(event)))
    return signed_request(target, wrapped, now, STRUCTURED)


def binary(events: Sequence[Event], target: Subscription, now: float) -> SignedRequest:
    """Binary mode: attributes are `ce-` headers, the body is the data. Only the body is signed."""
    (event,) = events
    cloud_event = to_cloudevent(event)
    headers = {"content-type": cloud_event.datacontenttype}
    for name in IN_HEADERS:
        value = getattr(cloud_event, name)
        if value is not msgspec.UNSET:
            headers[f"ce-{name}"] = quote(value, safe=_PLAIN)
    return signed_request(target, replace(event, body=bytes(cloud_event.data)), now, headers)


def batch(events: Sequence[Event], target: Subscription, now: float) -> SignedRequest:
    """Batch mode: several events in an array, in order, with an id derived from all of them."""
    body = b"[%b]" % b",".join([_encode(to_cloudevent(event)) for event in events])
    return signed_request(target, Event(batch_id(events), body), now, BATCH)


def batch_id(events: Sequence[Event]) -> str:
    """An id that is the same for the same events in the same order, and different for all others."""
    names = " ".join(event.id for event in events).encode()
    return f"evt_batch_{hashlib.blake2b(names, digest_size=16).hexdigest()}"


def to_cloudevent(event: Event) -> CloudEvent:
    """Convert an event to a CloudEvent; deterministic."""
    payload = _payload(event.body)
    about = _about(payload.data)
    return CloudEvent(
        specversion="1.0",
        id=event.id,
        source=f"{SOURCE}/{about.source}" if isinstance(about.source, str) else SOURCE,
        type=TYPE + payload.type,
        time=payload.timestamp,
        datacontenttype=JSON,
        data=payload.data,
        subject=next((s for s in (about.id, about.subscription) if _is_word(s)), msgspec.UNSET),
        traceparent=event.trace or msgspec.UNSET,
    )


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value != ""
