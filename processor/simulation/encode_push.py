"""Encodes a push's document as headers and body: the reverse of provider/decode.py."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from processor import form_data
from processor.provider.field_types import Decode

JSON, MULTIPART = "application/json", form_data.PARTS
SENDER = "/ringback/simulate"  # the `source` of a CloudEvent, the topic of an SNS message
BOUNDARY = "ringback-simulate"  # JSON escapes line breaks, so no text can hold it as a line
ATTRIBUTES = {"specversion": "1.0", "type": "simulated", "source": SENDER, "id": "simulated"}

# The encodings of each decoder, the usual one first.
MODES = {
    "json": ("json",),
    "form": ("urlencoded", "multipart"),
    "sns": ("envelope",),
    "cloudevents": ("structured", "binary", "batch"),
}

Document = dict[str, Any]


class EncodedPush(NamedTuple):
    """Headers and body of a push; `text` is the JSON in it, without the form around it."""

    headers: dict[str, str]
    body: bytes
    text: bytes


def encode_push(decode: Decode, document: Any, mode: str = "") -> EncodedPush:
    """Encode to headers and body; `mode` is one of the decoder's MODES, by default the first."""
    modes = MODES[decode.name]
    if mode and mode not in modes:
        raise ValueError(f"mode `{mode}` is unknown; write {', '.join(modes)}")
    return _WRAPPERS[mode or modes[0]](decode, document)


def encoded(document: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


def form(fields: Mapping[str, str], *, multipart: bool = False) -> tuple[dict[str, str], bytes]:
    """Headers and body of a form."""
    if not multipart:
        return {"content-type": form_data.PLAIN}, urlencode(fields).encode()
    parts = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    body = f"{''.join(parts)}--{BOUNDARY}--\r\n"
    return {"content-type": f"{MULTIPART}; boundary={BOUNDARY}"}, body.encode()


def _json(_decode: Decode, document: Any) -> EncodedPush:
    body = encoded(document)
    return EncodedPush({"content-type": JSON}, body, body)


def _urlencoded(decode: Decode, document: Any) -> EncodedPush:
    text = encoded(document)
    return EncodedPush(*form({decode.field: text.decode()}), text)


def _multipart(decode: Decode, document: Any) -> EncodedPush:
    text = encoded(document)
    return EncodedPush(*form({decode.field: text.decode()}, multipart=True), text)


def _envelope(_decode: Decode, document: Any) -> EncodedPush:
    """Like Amazon SNS, but unsigned: only Amazon has the key."""
    message = encoded(document)
    body = encoded({"Type": "Notification", "TopicArn": SENDER, "Message": message.decode()})
    return EncodedPush({"content-type": "text/plain; charset=UTF-8"}, body, message)


def _structured(_decode: Decode, document: Any) -> EncodedPush:
    body = encoded(_event(document))
    return EncodedPush({"content-type": "application/cloudevents+json"}, body, body)


def _batch(_decode: Decode, document: Any) -> EncodedPush:
    body = encoded([_event(document)])
    return EncodedPush({"content-type": "application/cloudevents-batch+json"}, body, body)


def _binary(_decode: Decode, document: Any) -> EncodedPush:
    event = _event(document)
    body = encoded(event.pop("data", None))
    named = {f"ce-{name}": quote(str(value), safe="/:") for name, value in event.items()}
    return EncodedPush({"content-type": JSON, **named}, body, body)


def _event(document: Document) -> Document:
    """A CloudEvent; `/key` is its source and id, separated by a space."""
    key = str(document.get("key", ""))
    source, _, name = key.rpartition(" ")
    attributes = {name: value for name, value in document.items() if name != "key"}
    named = {"source": source or SENDER, "id": name} if key else {}
    return {**ATTRIBUTES, **named, **attributes}


_WRAPPERS: dict[str, Callable[[Decode, Any], EncodedPush]] = {
    "json": _json,
    "urlencoded": _urlencoded,
    "multipart": _multipart,
    "envelope": _envelope,
    "structured": _structured,
    "binary": _binary,
    "batch": _batch,
}
